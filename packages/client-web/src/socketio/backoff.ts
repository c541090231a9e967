// How long to wait before the next attempt to connect: twice as long each time, with a jitter, up to a limit.

export interface BackoffOptions {
  /** Milliseconds before the first attempt. */
  reconnectionDelay: number;
  /** Milliseconds, at the most. */
  reconnectionDelayMax: number;
  /** From 0 to 1: a delay of 1000 ms and a factor of 0.5 give 500 to 1500 ms. */
  randomizationFactor: number;
}

/** The delay before attempt `attempt`, which counts from 0. At the limit the jitter stays: not everybody is to come back at once. */
export function delayOf(attempt: number, options: BackoffOptions, random = Math.random()): number {
  const { reconnectionDelay, reconnectionDelayMax, randomizationFactor } = options;
  const delay = Math.min(reconnectionDelay * 2 ** Math.min(attempt, 30), reconnectionDelayMax);
  return Math.min(delay + (2 * random - 1) * randomizationFactor * delay, reconnectionDelayMax) | 0;
}
