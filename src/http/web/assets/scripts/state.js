// What the state of a process means for the page.

import { moment, uptime } from "./format.js";
import { now } from "./live.js";

/** Which states are counted together. */
export const KINDS = {
  problem: (p) => p.problem,
  running: (p) => p.state === "running",
  changing: (p) => ["starting", "stopping", "backoff"].includes(p.state),
  down: (p) => ["stopped", "exited", "fatal", "unknown"].includes(p.state),
};

/** The signals that are offered. */
export const SIGNALS = ["HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP"];

/** What can be done to a process in this state. */
export function offers(state) {
  if (state === "running") return [["restart", "Restart"], ["stop", "Stop"]];
  if (["stopped", "exited", "fatal"].includes(state)) return [["start", "Start"]];
  if (["starting", "backoff"].includes(state)) return [["stop", "Stop"]];
  return [];
}

/** The class of a state. */
export const stateClass = (state) =>
  state === "running" ? "statusrunning" : ["fatal", "backoff"].includes(state) ? "statuserror" : "statusnominal";

/** What is said of a process beside its state. */
export function describe(p) {
  if (p.state === "running") return `pid ${p.pid}, uptime ${uptime(now() - p.started)}`;
  if (["stopped", "exited"].includes(p.state) && p.stopped && p.started !== null) return `since ${moment(p.stopped)}`;
  if (p.state === "starting" || p.state === "stopping") return p.pid ? `pid ${p.pid}` : "";
  return p.text;
}

export const pathOf = (p) => `/process/${encodeURIComponent(p.group)}/${encodeURIComponent(p.process)}`;
