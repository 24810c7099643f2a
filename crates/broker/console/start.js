// Stands in the page and runs before the first paint, so that a chosen theme never flashes in the
// other one. It is no module because modules wait for the document. Without a choice the system's
// preference holds.
(() => {
  'use strict';
  try {
    const chosen = localStorage.getItem('chaski.theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's preference holds then.
  }

  // The frame around the pages is painted first, and then the modules are asked for, all at once.
  let begun = false;
  function begin() {
    if (begun) return;
    begun = true;
    const modules = /** @type {HTMLTemplateElement} */ (document.getElementById('modules'));
    document.head.append(modules.content);
    import('{{assets}}/app.js');
  }
  document.addEventListener('DOMContentLoaded', () => {
    requestAnimationFrame(() => setTimeout(begin));
    // A tab in the background paints nothing.
    setTimeout(begin, 500);
  });
})();
