"""Browsers that visit a shop through a SOCKS port of tor, as people do.

Chromium is driven by playwright, with and without scripts; Firefox only takes pictures, without
scripts and SVG: the nearest to Tor Browser at its safest level that a distribution has.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, Request, Response

PATIENCE: Final = 60.0  # seconds for one page: a cold onion on a busy machine
WIDTHS: Final = (390, 1280)  # pixels: a telephone and a desk
LOOKS: Final = tuple(zip(WIDTHS, ("light", "dark"), strict=True))  # each of both, not all of them
HEIGHT: Final = 844
CHROMIUM_FLAGS: Final = (
    "--no-sandbox",  # root, as in a container, has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FIREFOX_PREFERENCES: Final[dict[str, bool | int | str]] = {
    "javascript.enabled": False,
    "svg.disabled": True,
    "network.proxy.type": 1,
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_version": 5,
    "network.proxy.socks_remote_dns": True,
    "network.dns.blockDotOnion": False,
    "dom.security.https_first": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}
TELLING: Final = {"server", "date", "x-powered-by", "via", "last-modified"}  # headers


@attrs.frozen
class Loaded:
    """One answer that a page needed.

    Attributes:
        path: on the shop's onion.
        status: of HTTP.
        size: bytes of body and headers.
    """

    path: str
    status: int
    size: int


class Visitor:
    """One person: a browser with cookies of its own, looking at one page.

    It notes what every page asks for. A request to anywhere but the shop, one that fails, and a
    header that tells of software or time, are kept in `faults`.

    Attributes:
        page: playwright's.
        loaded: what came since the last `open` or `clear`.
        faults: sentences; none is how it should be.
        statuses: of HTTP, by path, since the visitor came.
    """

    def __init__(self, browser: Browser, origin: str, scripts: bool, width: int) -> None:
        self._origin = origin
        self._context = browser.new_context(
            java_script_enabled=scripts, viewport={"width": width, "height": HEIGHT}
        )
        self._context.set_default_timeout(PATIENCE * 1000)
        self._context.on("request", self._asked)
        self._context.on("requestfinished", self._came)
        self._context.on("requestfailed", self._failed)
        self._context.on("response", self._answered)
        self.page: Page = self._context.new_page()
        self.loaded: list[Loaded] = []
        self.faults: list[str] = []
        self.statuses: dict[str, set[int]] = {}

    def open(self, path: str) -> None:
        """Go to a page of the shop and wait until all of it is there."""
        self.loaded.clear()
        self.page.goto(f"{self._origin}{path}", wait_until="load")

    @property
    def path(self) -> str:
        """Where the visitor is."""
        return self.page.url.removeprefix(self._origin)

    @property
    def text(self) -> str:
        """What the page says, without its frame."""
        return self.page.inner_text("main")

    def press(self, name: str) -> None:
        """Press a button or follow a link, and wait for the page behind it."""
        self.loaded.clear()
        button = self.page.get_by_role("button", name=name)
        found = button if button.count() else self.page.get_by_role("link", name=name)
        with self.page.expect_navigation(wait_until="load"):
            found.first.click()

    def download(self, name: str, target: Path) -> str:
        """Follow a link to a file, keep it, and return the name that the shop gave it."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("link", name=name).click()
        waiting.value.save_as(target)
        return waiting.value.suggested_filename

    def shoot(self, folder: Path, name: str) -> None:
        """Take a picture of the whole page at each width."""
        for width, scheme in LOOKS:
            self._look(width, scheme)
            self.page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)

    def axe(self) -> list[str]:
        """Return what axe finds on the page, at each width. Needs scripts."""
        found = []
        for width, scheme in LOOKS:
            self._look(width, scheme)
            if self.page.evaluate("document.documentElement.scrollWidth") > width:
                found.append(f"wider than the screen at {width} px")
            for violation in Axe().run(self.page).response["violations"]:
                where = [node["target"] for node in violation["nodes"]]
                found.append(f"{violation['id']} at {width} px, {scheme}: {where}")
        return found

    def leave(self) -> None:
        """Close the browser; its cookies are gone."""
        self._context.close()

    def _look(self, width: int, scheme: str) -> None:
        self.page.set_viewport_size({"width": width, "height": HEIGHT})
        self.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]

    def _asked(self, request: Request) -> None:
        if not request.url.startswith(f"{self._origin}/"):
            self.faults.append(f"asked elsewhere: {request.url}")

    def _came(self, request: Request) -> None:
        response, sizes = request.response(), request.sizes()
        size = sizes["responseBodySize"] + sizes["responseHeadersSize"]
        status = response.status if response else 0
        self.loaded.append(Loaded(request.url.removeprefix(self._origin), status, size))

    def _failed(self, request: Request) -> None:
        # a film that is left, or a download, ends as an aborted request
        if "ERR_ABORTED" not in (request.failure or ""):
            self.faults.append(f"failed: {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        path = response.url.removeprefix(self._origin)
        self.statuses.setdefault(path, set()).add(response.status)
        if told := TELLING & set(response.headers):
            self.faults.append(f"{response.url} tells {sorted(told)}")
        if "default-src 'none'" not in response.headers.get("content-security-policy", ""):
            self.faults.append(f"{response.url} has no policy")


@contextmanager
def chromium(playwright: Playwright, proxy: str) -> Iterator[Browser]:
    """Run Debian's Chromium behind a SOCKS proxy, which resolves all names."""
    program = shutil.which("chromium")
    browser = playwright.chromium.launch(
        executable_path=program, proxy={"server": proxy}, args=list(CHROMIUM_FLAGS)
    )
    try:
        yield browser
    finally:
        browser.close()


def picture_by_firefox(url: str, proxy: str, width: int, folder: Path) -> Path:
    """Let Firefox at its safest render a page, with a profile made for it; return the picture."""
    profile = folder / "profile"
    profile.mkdir()
    port: dict[str, Any] = {"network.proxy.socks_port": int(proxy.rpartition(":")[2])}
    lines = [
        f"user_pref({_quoted(name)}, {_quoted(value)});"
        for name, value in (FIREFOX_PREFERENCES | port).items()
    ]
    (profile / "user.js").write_text("\n".join(lines))
    picture = folder / f"firefox-{width}.png"
    command = ["firefox-esr", "--headless", "--no-remote", "--profile", str(profile)]
    command += [f"--window-size={width},{2 * HEIGHT}", "--screenshot", str(picture), url]
    home = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
    subprocess.run(command, check=True, capture_output=True, timeout=2 * PATIENCE, env=home)
    shutil.rmtree(profile)
    return picture


def _quoted(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'
