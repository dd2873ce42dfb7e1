// Small charts.

import { s } from "./dom.js";

const MOST = 300000;
const LEAST = 30000;

/** A line of [time, value] over the last minutes, `width` by `height`; `least` is the least top. */
export function draw(svg, samples, width, height, least) {
  const end = samples.length ? samples[samples.length - 1][0] : 0;
  const shown = samples.filter(([at, value]) => value !== null && at > end - MOST);
  // What is known fills the chart.
  const SPAN = Math.max(LEAST, end - (shown.length ? shown[0][0] : end));
  const top = Math.max(least, ...shown.map(([, value]) => value)) * 1.1;
  const x = (at) => (width * (1 - (end - at) / SPAN)).toFixed(1);
  const y = (value) => (height - 1 - (height - 2) * (value / top)).toFixed(1);
  const line = shown.map(([at, value]) => `${x(at)},${y(value)}`).join(" L");
  let [area, path] = svg.children;
  if (!area) {
    area = s("path", { class: "area" });
    path = s("path", { class: "line" });
    svg.append(area, path);
  }
  path.setAttribute("d", shown.length > 1 ? `M${line}` : "");
  const first = shown.length ? x(shown[0][0]) : 0;
  area.setAttribute("d", shown.length > 1 ? `M${first},${height} L${line} L${width},${height}Z` : "");
}

/** An empty chart. */
export function chart(kind, width, height, label) {
  return s("svg", {
    class: `chart ${kind}`, viewBox: `0 0 ${width} ${height}`, width, height,
    preserveAspectRatio: "none", role: "img", "aria-label": label,
  });
}
