/** One animation frame for everything that streams. A task gets the time by which it has to give way. */

const BUDGET_MS = 8;
const tasks = new Set();
let asked = false;

export function nextFrame(task) {
  tasks.add(task);
  if (asked) return;
  asked = true;
  requestAnimationFrame(flush);
}

function flush() {
  asked = false;
  const deadline = performance.now() + BUDGET_MS;
  const due = [...tasks];
  tasks.clear();
  for (const task of due) task(deadline);
}
