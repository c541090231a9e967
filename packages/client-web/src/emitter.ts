// Events of an object: listeners by name, and the types that say which events there are.

/** Events by name, each with its listener's type: `{ news: (text: string) => void }`. */
export interface EventsMap {
  [event: string]: any;
}

/** Any event, with any arguments. */
export interface DefaultEventsMap {
  [event: string]: (...args: any[]) => void;
}

export type EventNames<Map extends EventsMap> = keyof Map & (string | symbol);

export type EventParams<Map extends EventsMap, Event extends EventNames<Map>> = Parameters<Map[Event]>;

export type ReservedOrUserEventNames<Reserved extends EventsMap, User extends EventsMap> = EventNames<Reserved> | EventNames<User>;

/** The listener of an event: a reserved name's own type comes first. */
export type ReservedOrUserListener<
  Reserved extends EventsMap,
  User extends EventsMap,
  Event extends ReservedOrUserEventNames<Reserved, User>,
> = UntypedIfNever<Event extends EventNames<Reserved> ? Reserved[Event] : Event extends EventNames<User> ? User[Event] : never>;

type UntypedIfNever<Listener> = [Listener] extends [never] ? (...args: any[]) => void | Promise<void> : Listener;

/** A listener as it is kept: the wrapper that `once` makes remembers whom it stands for. */
type Kept = ((...args: any[]) => unknown) & { fn?: unknown };

/**
 * Something with events. `Listen` are those that arrive, `Emit` those that `emit` takes, `Reserved` those that only the
 * object itself raises.
 *
 * A listener that throws disturbs nobody: the others are called, and the error is reported as any uncaught one is.
 */
export class Emitter<Listen extends EventsMap, Emit extends EventsMap, Reserved extends EventsMap = {}> {
  private readonly _listeners = new Map<unknown, Kept[]>();

  on<Event extends ReservedOrUserEventNames<Reserved, Listen>>(
    event: Event,
    listener: ReservedOrUserListener<Reserved, Listen, Event>,
  ): this {
    const listeners = this._listeners.get(event);
    if (listeners) listeners.push(listener);
    else this._listeners.set(event, [listener]);
    return this;
  }

  /** As `on`, for the next such event alone. */
  once<Event extends ReservedOrUserEventNames<Reserved, Listen>>(
    event: Event,
    listener: ReservedOrUserListener<Reserved, Listen, Event>,
  ): this {
    let isOver = false;
    const once: Kept = (...args) => {
      // The same event may be raised again before the first time has come to this one.
      if (isOver) return;
      isOver = true;
      this.off(event, once as any);
      listener.apply(this, args);
    };
    once.fn = listener;
    return this.on(event, once as any);
  }

  /** Removes a listener; without one all of this event; without an event all there are. */
  off<Event extends ReservedOrUserEventNames<Reserved, Listen>>(
    event?: Event,
    listener?: ReservedOrUserListener<Reserved, Listen, Event>,
  ): this {
    if (event === undefined) this._listeners.clear();
    else {
      const listeners = listener ? this.listeners(event) : [];
      const at = listeners.findIndex((each: Kept) => each === listener || each.fn === listener);
      if (at >= 0) listeners.splice(at, 1);
      this._listeners.set(event, listeners as Kept[]);
    }
    return this;
  }

  /** Raises an event here. Sockets send it instead. */
  emit<Event extends EventNames<Emit>>(event: Event, ...args: EventParams<Emit, Event>): this {
    return this._raise(event, args);
  }

  protected emitReserved<Event extends EventNames<Reserved>>(event: Event, ...args: EventParams<Reserved, Event>): this {
    return this._raise(event, args);
  }

  /** The listeners of this event, as a copy. */
  listeners<Event extends ReservedOrUserEventNames<Reserved, Listen>>(
    event: Event,
  ): ReservedOrUserListener<Reserved, Listen, Event>[] {
    return [...(this._listeners.get(event) ?? [])] as ReservedOrUserListener<Reserved, Listen, Event>[];
  }

  hasListeners<Event extends ReservedOrUserEventNames<Reserved, Listen>>(event: Event): boolean {
    return this.listeners(event).length > 0;
  }

  /** @internal */
  _raise(event: unknown, args: readonly unknown[]): this {
    callAll(this, this.listeners(event as any), args);
    return this;
  }
}

/** `off` by its other names. */
export interface Emitter<Listen extends EventsMap, Emit extends EventsMap, Reserved extends EventsMap = {}> {
  removeListener: Emitter<Listen, Emit, Reserved>["off"];
  removeAllListeners: Emitter<Listen, Emit, Reserved>["off"];
}

Emitter.prototype.removeListener = Emitter.prototype.removeAllListeners = Emitter.prototype.off;

/** Calls each of them; what one throws is reported and keeps nobody else from being called. */
export function callAll(on: unknown, listeners: readonly Kept[], args: readonly unknown[]): void {
  for (const listener of listeners) {
    try {
      listener.apply(on, args as unknown[]);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
