// Runs before the first paint, so that a chosen theme never flashes in the other one. It is no
// module because modules wait for the document. Without a choice the system's preference holds.
(() => {
  'use strict';
  try {
    const chosen = localStorage.getItem('chaski.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's preference holds then.
  }
})();
