/** How numbers and times are said. */

export function place(position) {
  const last = position % 100;
  const ending = last > 10 && last < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[position % 10] ?? "th";
  return `${position}${ending} in line`;
}

export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86400, "hour", 3600],
  [86400 * 7, "day", 86400],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export function ago(date, now = new Date()) {
  const seconds = Math.round((date - now) / 1000);
  if (Math.abs(seconds) < 45) return "just now";
  for (const [limit, unit, size] of STEPS)
    if (Math.abs(seconds) < limit) return relative.format(Math.round(seconds / size), unit);
  return date.toLocaleDateString("en", { day: "numeric", month: "short" });
}

/** The server writes times in UTC; people read their own. */
export function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const date = new Date(element.dateTime);
    element.title = date.toLocaleString();
    element.textContent =
      "ago" in element.dataset
        ? ago(date)
        : date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }
}
