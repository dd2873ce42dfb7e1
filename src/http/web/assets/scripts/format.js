// Times and sizes for people.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

/** `0:01:05`, `2 days, 0:00:01`, as upstream writes it. */
export function uptime(milliseconds) {
  const all = Math.max(0, Math.floor(milliseconds / 1000));
  const two = (number) => String(number).padStart(2, "0");
  const rest = `${Math.floor(all / 3600) % 24}:${two(Math.floor(all / 60) % 60)}:${two(all % 60)}`;
  const days = Math.floor(all / 86400);
  return days === 0 ? rest : `${days} day${days === 1 ? "" : "s"}, ${rest}`;
}

/** A moment of today by its clock, an older one with its day; in the viewer's zone. */
export function moment(at) {
  return (Date.now() - at < 20 * 3600e3 ? clock : day).format(at);
}

/** The exact moment, for who wants to know. */
export const exactly = (at) => full.format(at);

/** KiB as people read them. */
export function size(kib) {
  if (kib === null || kib === undefined) return "–";
  if (kib < 1000) return `${kib} K`;
  const units = ["M", "G", "T"];
  let value = kib / 1024;
  let unit = 0;
  while (value >= 1000 && unit < 2) { value /= 1024; unit += 1; }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Percent of a processor. */
export function percent(value) {
  if (value === null || value === undefined) return "–";
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}
