// Events that are sent again until they are acknowledged: the option `retries`. One at a time, so that they stay in order.

/** An acknowledgement's callback; one that is marked takes an error first. */
export interface Ack {
  (...args: any[]): void;
  withError?: boolean;
}

export interface Flags {
  compress?: boolean;
  volatile?: boolean;
  timeout?: number;
  /** It is the queue that emits. */
  fromQueue?: boolean;
}

interface Item {
  args: unknown[];
  flags: Flags;
  tries: number;
  pending: boolean;
}

export class RetryQueue {
  private readonly _items: Item[] = [];

  constructor(
    private readonly _retries: number,
    /** Emits an event, if there is a connection; the acknowledgement is the last argument. */
    private readonly _emit: (args: unknown[], flags: Flags) => boolean,
  ) {}

  /** Emits as soon as it is its turn. `ack` gets an error when all tries were in vain. */
  add(args: unknown[], flags: Flags, ack: Ack | undefined): void {
    const item: Item = { args, flags: { ...flags, fromQueue: true }, tries: 0, pending: false };
    const settle: Ack = (error: Error | null, ...answer) => {
      // An answer to a try that was given up may come late.
      if (item !== this._items[0]) return;
      item.pending = false;
      if (error === null || item.tries > this._retries) {
        this._items.shift();
        ack?.(error, ...answer);
      }
      this.drain();
    };
    settle.withError = true;
    item.args = [...args, settle];
    this._items.push(item);
    this.drain();
  }

  /** Emits the first one, unless it is under way. */
  drain(): void {
    const item = this._items[0];
    if (!item || item.pending) return;
    item.pending = this._emit(item.args, item.flags);
    if (item.pending) item.tries += 1;
  }

  /** There is a new connection: what was under way is lost, or its answer is. */
  restart(): void {
    if (this._items[0]) this._items[0].pending = false;
    this.drain();
  }
}
