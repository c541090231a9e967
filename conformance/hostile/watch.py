"""What is watched while hostile inputs are played: the server's memory, the longest poll of its tasks, and a bystander's echoes."""
import os, re, subprocess, sys, tempfile, time

MIB = 1 << 20
# What the allocator may keep beyond what an entry allows, and what a whole set may cost.
SLACK_MB = 16
SET_GROWTH_MAX_MB = 32
SET_PEAK_MAX_MB = 96
# No task keeps its thread for longer, on the thread's own clock.
POLL_MAX_MS = 20
# A bystander's echo at p99: this, or a multiple of what it takes on a quiet server, on a slow machine.
ECHO_MAX_MS = 50
ECHO_TIMES_QUIET = 3
# Of fewer there is no p99.
ECHOES_MIN = 200
# What an entry alone is judged by: it takes some seconds.
ECHOES_OF_ENTRY_MIN = 1000
# A quiet server is looked at between entries too, for what else the machine does comes and goes.
REST_S = 0.5
REST_EVERY = 10
REST_AFTER_S = 5


class Memory:
    """Resident bytes of the server; the peak since `begin`, if it tells its process id."""

    def __init__(self, stat):
        self.pid, self.before = stat.get("pid"), stat["rss"]
        if self.pid:
            # proc(5): "5" makes the peak what is resident now.
            with open(f"/proc/{self.pid}/clear_refs", "w") as file:
                file.write("5")

    def peak_growth_mb(self):
        if not self.pid:
            return None
        with open(f"/proc/{self.pid}/status") as file:
            peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024
        return max(0, peak - self.before) / MIB


def longest_poll(stat):
    """(milliseconds, file where the task was spawned), if the server measures it."""
    polls = (stat or {}).get("polls")
    if not polls:
        return None
    file, longest = max(polls.items(), key=lambda each: each[1])
    return longest / 1000, "/".join(file.split("/")[-3:])


def lines(log):
    """How many there are in the server's log, if it has one."""
    if not log:
        return 0
    with open(log, "rb") as file:
        return sum(1 for _ in file)


def summary(whole):
    """A line on a whole set, for people."""
    beside, poll = whole["bystander"], whole["longest_poll"]
    line = f"  resident {whole['rss_before_mb']} MiB, {whole['rss_growth_mb']:+} after all, +{whole['rss_peak_mb']} at the peak of an entry"
    if beside:
        line += "; echoes of a bystander {p99_ms} ms at p99, {quiet_p99_ms} between entries".format(**beside)
        line += ", {slowest_ms} at most, beside {slowest_beside}".format(**beside)
    if poll:
        line += "; longest poll {} ms, {}, in {}".format(*poll)
    return line


class Bystander:
    """A client in a process of its own; its echoes are judged when all is over, by when they left."""

    def __init__(self, port):
        self.output = tempfile.TemporaryFile("w+")
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bystander.py")
        self.process = subprocess.Popen(
            [sys.executable, script, str(port)], stdin=subprocess.PIPE, stdout=self.output, stderr=subprocess.PIPE, text=True
        )
        while not os.fstat(self.output.fileno()).st_size and self.process.poll() is None:
            time.sleep(0.01)
        self.quiet = []
        self.played = 0
        self.rest()

    def has_played(self, took_s):
        """Told after each entry."""
        self.played += 1
        if self.played % REST_EVERY == 0 or took_s > REST_AFTER_S:
            self.rest()

    def rest(self):
        """Some time in which nobody else does anything: what an echo takes on this machine, now."""
        since = time.monotonic()
        time.sleep(REST_S)
        self.quiet.append((since, time.monotonic()))

    def end(self):
        """Ends it: its echoes, and what it complains of."""
        self.rest()
        complaint = self.process.communicate()[1].strip().splitlines()[-1:]
        self.output.seek(0)
        self.echoes = [tuple(map(float, line.split())) for line in self.output]
        return complaint

    def p99_ms(self, wanted):
        times = sorted(took for left, took in self.echoes if wanted(left))
        return times[min(len(times) - 1, len(times) * 99 // 100)] * 1000 if times else None

    def judge(self, entries):
        """`entries`: (id, from, to). What to report, and what is bad."""
        bad = self.end()
        is_quiet = lambda left: any(since <= left <= until for since, until in self.quiet)
        beside_entries = [each for each in self.echoes if not is_quiet(each[0])]
        if len(beside_entries) < ECHOES_MIN:
            return {}, bad
        quiet, loud = self.p99_ms(is_quiet), self.p99_ms(lambda left: not is_quiet(left))
        left, slowest = max(beside_entries, key=lambda each: each[1])
        beside = next((id for id, since, until in entries if since <= left <= until), None)
        limit = max(ECHO_MAX_MS, ECHO_TIMES_QUIET * quiet)
        if loud > limit:
            bad.append(f"the bystander's p99 is {loud:.1f} ms; at most {limit:.1f}, for it was {quiet:.1f} on the quiet server")
        beside_each = {}
        for id, since, until in entries:
            count = sum(since <= left <= until for left, _ in beside_entries)
            if count >= ECHOES_OF_ENTRY_MIN:
                p99 = beside_each[id] = round(self.p99_ms(lambda left: since <= left <= until), 2)
                if p99 > limit:
                    bad.append(f"beside {id} the bystander's p99 is {p99} ms; at most {limit:.1f}")
        told = {"echoes": len(self.echoes), "quiet_p99_ms": round(quiet, 2), "p99_ms": round(loud, 2), "p99_ms_beside": beside_each}
        return {**told, "slowest_ms": round(slowest * 1000, 1), "slowest_beside": beside}, bad
