// Looks again as soon as there is news of the payment. The page works without it.
"use strict";
(() => {
  const news = document.getElementById("news");
  if (!news || !("EventSource" in window)) return;
  const again = () => location.reload();
  const pause = 1000 * Number(news.dataset.pause || 0);
  const source = new EventSource(news.dataset.news);
  source.addEventListener("changed", again);
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED && pause) setTimeout(again, pause);
  });
})();
