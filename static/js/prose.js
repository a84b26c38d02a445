/** What the page does to a message that the server has rendered. */

import { dressCode } from "./code.js";
import { localTimes } from "./words.js";

const LEAF_BLOCKS = 24;
const LONG = 200;

export function dress(root) {
  dressCode(root);
  localTimes(root);
  for (const prose of root.querySelectorAll(".prose:not(.raw, .live)")) intoLeaves(prose);
}

/** Very long prose, in leaves that the browser can skip while they are out of sight. */
function intoLeaves(prose) {
  if (prose.childElementCount < LONG) return;
  const blocks = [...prose.childNodes];
  while (blocks.length) {
    const leaf = document.createElement("div");
    leaf.className = "leaf";
    leaf.append(...blocks.splice(0, LEAF_BLOCKS));
    prose.append(leaf);
  }
}
