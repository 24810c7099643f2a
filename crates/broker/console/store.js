// Choices kept in this browser. Where storage is forbidden they last as long as the page.

/** @type {Map<string, string>} */
const memory = new Map();

/** @param {string} name @returns {string | null} */
export function stored(name) {
  try {
    return localStorage.getItem(`chaski.${name}`);
  } catch {
    return memory.get(name) ?? null;
  }
}

/** @param {string} name @param {string | null} value */
export function store(name, value) {
  try {
    if (value === null) localStorage.removeItem(`chaski.${name}`);
    else localStorage.setItem(`chaski.${name}`, value);
  } catch {
    if (value === null) memory.delete(name);
    else memory.set(name, value);
  }
}
