# https://devenv.sh: `devenv shell` gives Python, tor and what the tests use; bin/setup then
# finds them there and installs only the locked Python packages.
{ pkgs, ... }:

{
  packages = [
    pkgs.tor
    pkgs.curl
    pkgs.git
    pkgs.nodejs # for the contracts: the compiler and its tests
  ] ++ pkgs.lib.optionals pkgs.stdenv.isLinux [
    pkgs.iproute2
    pkgs.strace
  ];

  languages.python = {
    enable = true;
    package = pkgs.python312;
  };

  enterShell = ''
    bin/setup
    export PATH="$PWD/.venv/bin:$PATH"
  '';

  enterTest = "bin/test";
}
