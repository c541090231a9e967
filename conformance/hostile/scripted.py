"""The operations that are played by many clients or in another protocol, and how what they have seen is judged."""
import time

import files, flood, h2, pool, storm

OPS = {"pool", "flood", "storm", "exhaust", "h2"}
# Sessions that nobody speaks to any more are gone by then: by their heartbeat, or because they entered no namespace.
GONE_S = 60


def play(run, step, expect, pid):
    """`run`: the entry's other steps, in the player."""
    kind = step["op"]
    if kind == "pool":
        return pool.play(run.port, step, expect)
    if kind == "flood":
        return flood.play(run.port, step)
    if kind == "storm":
        return storm.play(run.port, step)
    if kind == "exhaust":
        return files.play(run.port, step, pid)
    return h2.play(run.port, step, run.v.get("sid", ""))


def settle(stat, port, before):
    """Waits until the server has as many sessions as before; what it says then."""
    started = time.monotonic()
    while True:
        now = stat(port)[0]
        if now is None or now["sessions"] <= before["sessions"] or time.monotonic() - started > GONE_S:
            return now
        time.sleep(0.2)


def judge(expect, seen):
    """What is not as expected."""
    bad = []

    def look(is_so, complaint):
        if not is_so:
            bad.append(complaint)

    look(seen["left"] == 0, f"{seen['left']} sessions are left")
    if "closed_ms" in expect:
        least, most = expect["closed_ms"]
        times = seen["closed_ms"] or [0, 0]
        look(seen["left_open"] == 0, f"{seen['left_open']} are still open after {most} ms")
        look(least <= times[0] and times[1] <= most, f"closed after {times} ms, expected {least} to {most}")
    for name in "statuses", "close_codes":
        for value, count in expect.get(name, {}).items():
            got = seen[name].get(int(value), 0)
            look(got == count, f"{name}: {value} {got} times, expected {count}; all: {seen[name]}")
    for name in "log_lines", "bytes_per_session", "failed_percent":
        if name + "_max" in expect:
            look(seen[name] <= expect[name + "_max"], f"{seen[name]} {name}, expected {expect[name + '_max']} at the most")
    if "rate_min" in expect:
        look(seen["rate"] >= expect["rate_min"], f"only {seen['rate']} connections a second")
    if "goaway" in expect:
        look(seen["goaway"] in expect["goaway"], f"GOAWAY {seen['goaway']}, expected {expect['goaway']}")
    for name in "lost", "forgotten", "never":
        look(not seen.get(name), f"{seen.get(name)} {name}")
    if "recovered" in expect:
        look(seen["recovered"] == expect["recovered"], f"{seen['recovered']} recovered")
    if "back_s" in expect:
        look(seen["back_s"][-1] <= expect["back_s"], f"all were back only after {seen['back_s'][-1]} s")
    if "served_min" in expect:
        look(seen["served"] >= expect["served_min"], f"only {seen['served']} were served")
        look(seen["served_later"] > 0, "nobody was served when files were free again")
    if "cpu_percent_max" in expect:
        quiet, busy = seen["cpu_percent"]
        look(busy - quiet <= expect["cpu_percent_max"], f"without files it took {busy} % of a processor, before {quiet} %")
    return bad
