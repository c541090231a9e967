// Timers as the options `useNativeTimers` and `autoUnref` want them.

export interface TimerOptions {
  /** Use the timers that were there when this file was loaded, whatever has replaced them since (tests, mostly). */
  useNativeTimers?: boolean;
  /** Node: do not keep the process alive. */
  autoUnref?: boolean;
}

export type Timer = ReturnType<typeof setTimeout>;

const native = setTimeout;

/** Calls `run` after `delay` milliseconds; `clearTimeout` stops it. */
export function after(delay: number, options: TimerOptions, run: () => void): Timer {
  const timer = (options.useNativeTimers ? native : setTimeout)(run, delay);
  if (options.autoUnref) (timer as { unref?: () => void }).unref?.();
  return timer;
}
