/** <lobby-charts>: series of the last day or month as lines (uPlot), each with the same numbers as a table. */

import { api } from "./api.js";

const RENEW_MS = 60_000;
const COLOURS = 6;
const COARSE = 12; // points in one: an hour of five minutes each, a day of two hours each
const WORDS = { "debates_ended:none": "no result" };
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 2]];

class LobbyCharts extends HTMLElement {
  #charts = [];

  connectedCallback() {
    this.#charts = [...this.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure, this.dataset.span));
    this.#fetch();
    setInterval(() => document.hidden || this.#fetch(), RENEW_MS);
    const repaint = () => this.#charts.forEach((chart) => chart.repaint());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
    new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    new ResizeObserver(() => this.#charts.forEach((chart) => chart.resize())).observe(this);
  }

  async #fetch() {
    try {
      const history = await api("GET", `dashboard/history?span=${this.dataset.span}`);
      for (const chart of this.#charts) chart.show(history);
      this.dataset.state = "shown";
    } catch (refusal) {
      if (this.dataset.state !== "shown") for (const chart of this.#charts) chart.say(refusal.message);
    }
  }
}

class Chart {
  #plot = null;
  #lines = [];
  #columns = [];

  constructor(figure, span) {
    this.figure = figure;
    this.about = JSON.parse(figure.dataset.chart);
    this.times = new Intl.DateTimeFormat([], span === "24h" ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" });
    this.moments = new Intl.DateTimeFormat([], { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    this.canvas = figure.querySelector(".plot");
    this.legend = figure.querySelector(".legend");
    if (this.about.coarse) {
      this.about.unit += span === "24h" ? " per hour" : " per day";
      figure.querySelector("figcaption span").textContent = this.about.unit;
    }
    this.table = figure.querySelector("[data-table]");
    this.table.addEventListener("toggle", () => this.#fillTable());
  }

  show(history) {
    const lines = linesOf(this.about, history.series);
    if (this.about.coarse) history = coarsened(history, lines);
    this.#columns = [history.at, ...lines.map((line) => this.#scaled(history, line.name))];
    if (!this.#columns.slice(1).some((column) => column.some((value) => value !== null)))
      return this.say("Nothing yet: a point comes every minute.");
    const same = this.#plot && lines.map((line) => line.name).join() === this.#lines.map((line) => line.name).join();
    this.#lines = lines;
    if (same) this.#plot.setData(this.#columns);
    else this.#draw();
    this.#describe();
    this.#fillTable();
  }

  say(words) {
    const said = document.createElement("p");
    said.className = "empty";
    said.textContent = words;
    this.#plot = null;
    this.#lines = [];
    this.canvas.replaceChildren(said);
    this.legend.replaceChildren();
  }

  repaint() {
    this.#plot?.redraw(false);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.#plot && (this.#plot.width !== width || this.#plot.height !== height)) this.#plot.setSize({ width, height });
  }

  #scaled({ series, step_seconds: step }, name) {
    const factor = (this.about.per ? this.about.per / step : 1) / this.about.scale;
    return series[name].map((value) => (value === null ? null : value * factor));
  }

  #draw() {
    this.canvas.replaceChildren();
    const ink = () => colour(this.canvas, "--ink-3");
    const axis = { stroke: ink, font: "11px system-ui", ticks: { show: false }, grid: { stroke: () => colour(this.canvas, "--line"), width: 1 } };
    this.#plot = new uPlot(
      {
        width: this.canvas.clientWidth,
        height: this.canvas.clientHeight,
        padding: [8, 6, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map((second) => this.times.format(second * 1000)), space: 60, size: 26 },
          { ...axis, values: (_, splits) => splits.map(short), size: 44, space: 32 },
        ],
        series: [{}, ...this.#lines.map((line, at) => this.#style(line, at))],
        hooks: { setCursor: [(plot) => this.#read(plot.cursor.idx)] },
      },
      this.#columns,
      this.canvas,
    );
    this.#read(null);
  }

  #style(line, at) {
    return {
      label: line.label,
      stroke: () => colour(this.canvas, `--option-${(at % COLOURS) + 1}`),
      width: 1.75,
      paths: this.about.coarse ? uPlot.paths.stepped({ align: 1 }) : undefined,
      dash: DASHES[at % DASHES.length],
      points: { show: false },
      spanGaps: false,
    };
  }

  /** What stands under the pointer, or what the lines are. */
  #read(index) {
    const entries = this.#lines.map((line, at) => {
      const entry = document.createElement("span");
      entry.className = `is-option-${(at % COLOURS) + 1}`;
      const value = index === null ? undefined : this.#columns[at + 1][index];
      entry.textContent = index === null ? line.label : `${line.label} ${value === null ? "–" : exact(value)}`;
      return entry;
    });
    const moment = document.createElement("span");
    moment.className = "at";
    moment.textContent = index === null ? "" : this.moments.format(this.#columns[0][index] * 1000);
    this.legend.replaceChildren(...entries, moment);
  }

  /** In words, for who cannot see the lines: where each of them is now and how high it has been. */
  #describe() {
    const words = this.#lines.map((line, at) => {
      const known = this.#columns[at + 1].filter((value) => value !== null);
      if (!known.length) return `${line.label}: nothing known`;
      return `${line.label}: ${exact(known.at(-1))} at the end, ${exact(Math.max(...known))} at most`;
    });
    this.canvas.removeAttribute("aria-labelledby");
    this.canvas.setAttribute("aria-label", `${this.about.title}, ${this.about.unit}. ${words.join("; ")}.`);
  }

  /** Only while it is open: the newest first. */
  #fillTable() {
    if (!this.table.open) return;
    const [at, ...columns] = this.#columns;
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const word of ["From", ...this.#lines.map((line) => line.label)]) head.append(cell("th", word, "col"));
    const body = table.createTBody();
    for (let index = at.length - 1; index >= 0; index--) {
      const row = body.insertRow();
      row.append(cell("th", this.moments.format(at[index] * 1000), "row"));
      for (const column of columns) row.append(cell("td", column[index] === null ? "–" : exact(column[index])));
    }
    this.table.querySelector(".scroll-x").replaceChildren(table);
  }
}

function linesOf({ lines, prefix }, series) {
  if (!prefix) return lines.filter(({ name }) => name in series);
  const names = Object.keys(series).filter((name) => name.startsWith(prefix));
  return names.map((name) => ({ name, label: WORDS[name] ?? name.slice(prefix.length).replaceAll("_", " ") }));
}

/** Sums over whole hours or days; the last one is not over yet. */
function coarsened({ at, step_seconds: step, series }, lines) {
  const bins = new Map();
  at.forEach((second, index) => {
    const bin = second - (second % (step * COARSE));
    bins.set(bin, [...(bins.get(bin) ?? []), index]);
  });
  const sum = (column, indexes) => {
    const known = indexes.map((index) => column[index]).filter((value) => value !== null);
    return known.length ? known.reduce((total, value) => total + value) : null;
  };
  const columns = lines.map(({ name }) => [name, [...bins.values()].map((indexes) => sum(series[name], indexes))]);
  return { at: [...bins.keys()], step_seconds: step * COARSE, series: Object.fromEntries(columns) };
}

function cell(kind, text, scope) {
  const element = document.createElement(kind);
  element.textContent = text;
  if (scope) element.scope = scope;
  return element;
}

/** A token as the canvas takes it: `light-dark()` is resolved where a colour is computed, not in the property. */
function colour(element, token) {
  element.style.color = `var(${token})`;
  const computed = getComputedStyle(element).color;
  element.style.color = "";
  return computed;
}

const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const short = (value) => compact.format(value);
const exact = (value) => value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : 1 });

customElements.define("lobby-charts", LobbyCharts);
