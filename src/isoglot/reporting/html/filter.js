// Shows the worst queries of one language; without it all languages stay on the page.
(() => {
  const control = document.getElementById("filter");
  const choice = document.getElementById("filter-language");
  const status = document.getElementById("filter-status");
  if (!control || !choice) return;
  control.hidden = false;
  choice.addEventListener("change", () => {
    let shown = 0;
    for (const block of document.querySelectorAll("details[data-language]")) {
      const wanted = !choice.value || block.dataset.language === choice.value;
      block.hidden = !wanted;
      if (wanted) shown += Number(block.dataset.queries);
      block.open = wanted && Boolean(choice.value);
    }
    status.textContent = `${shown} queries`;
  });
})();
