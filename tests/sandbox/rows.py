"""The ways in which code breaks a session: what each does, and what must come of it. They run in ``test_matrix``."""

from dataclasses import dataclass, field
from typing import Literal

from cataloger_dagster.sandbox.session import CellError

Kind = Literal["plain", "bubblewrap", "docker"]

FRAME = (
    "import json, struct\n"
    "reply = {'output': 'FORGED', 'truncated': False, 'error': None, 'seconds': 0, 'state_kept': True}\n"
    "body = json.dumps(reply).encode()\n"
    "frame = struct.pack('>BII', 0, 0, len(body)) + body\n"
)


@dataclass(frozen=True)
class Row:
    """One way to break a session.

    Attributes:
        name: what the code does.
        code: the cell.
        shows: patterns that are found in the cell's output, in this order.
        exact: all of the output, instead.
        hides: patterns that are not found there.
        error: how the cell ends.
        kept: whether the variables of earlier cells are there afterwards; null if that is left to chance.
        timeout: seconds the cell is given.
        most: seconds after which the result must be there, generously.
        then: a later cell and all that it prints, or null for anything.
        weaker: why a kind of sandbox does not hold this, by its name; the row is not run there.
    """

    name: str
    code: str
    shows: tuple[str, ...] = ()
    exact: str | None = None
    hides: tuple[str, ...] = ()
    error: CellError | None = None
    kept: bool | None = True
    timeout: float = 30
    most: float = 30
    then: tuple[str, str | None] | None = None
    weaker: dict[Kind, str] = field(default_factory=dict)


UNCONFINED: dict[Kind, str] = {"plain": "nothing confines the child: it may signal and read every process of its user"}
EACH: dict[Kind, str] = {
    "plain": "the limit of memory is each process's own, and nothing limits their number",
    "bubblewrap": "the limit of memory is each process's own, and nothing limits their number",
}

ORDER = [
    Row(
        "the value of the last expression follows what was printed",
        "print('a')\n{'x': x}",
        exact="a\n{'x': 41}\n",
    ),
    Row(
        "both streams keep their order",
        "import sys\nfor i in range(3):\n    print(f'o{i}')\n    print(f'e{i}', file=sys.stderr)",
        exact="o0\ne0\no1\ne1\no2\ne2\n",
    ),
    Row(
        "descriptors and subprocesses keep their place",
        "import os, subprocess\nprint('P1')\nn = os.write(1, b'RAW2\\n')\n"
        "subprocess.run(['echo', 'SUB3'])\nprint('P4')",
        exact="P1\nRAW2\nSUB3\nP4\n",
    ),
    Row(
        "a traceback is short and the cell's own",
        "def f(n):\n    return 1 / n\ndef g():\n    return f(0)\ng()",
        shows=("return 1 / n", "ZeroDivisionError: division by zero\n$"),
        hides=("worker.py", "runner.py", "\x1b"),
        error="error",
    ),
    Row("a syntax error", "x = = 3", shows=(r"<cell \d+>", "SyntaxError"), hides=("worker.py",), error="error"),
    Row("code that was made of a text", "eval('1 / 0')", shows=(r"<cell \d+>", "<string>", "ZeroDiv"), error="error"),
    Row(
        "code that was run by exec",
        "exec('def f():\\n    return y\\nf()')",
        shows=("<string>", "in f\n", "NameError: name 'y'"),
        hides=("worker.py",),
        error="error",
    ),
    Row("a warning", "import warnings\nwarnings.warn('old')", shows=(r"<cell \d+>:2: UserWarning: old",)),
    Row("a logged line", "import logging\nlogging.warning('careful')", shows=("WARNING:root:careful",)),
    Row(
        "a top-level await",
        "import asyncio\nv = await asyncio.sleep(0.01, 'awaited')\nv",
        exact="'awaited'\n",
    ),
    Row("asyncio.run", "import asyncio\nasync def m(): return 'ran'\nasyncio.run(m())", exact="'ran'\n"),
    Row(
        "an error under a top-level await",
        "async def f():\n    raise ValueError('late')\nawait f()",
        shows=(r"<cell \d+>", "raise ValueError", "ValueError: late\n$"),
        hides=("worker.py", "base_events"),
        error="error",
    ),
    Row(
        "an asynchronous generator, left half-way",
        "async def g():\n    for i in range(9): yield i\nasync for i in g():\n    if i == 2: break\ni",
        exact="2\n",
        then=("[j async for j in g()][-1]", "8\n"),
    ),
    Row(
        "a task that is left running",
        "import asyncio\nt = asyncio.create_task(asyncio.sleep(60, 'slept'))\nawait asyncio.sleep(0)",
        exact="",
        then=("await asyncio.sleep(0)\nt.done()", "False\n"),
    ),
    Row(
        "an event loop in a thread that runs on",
        "import asyncio, threading\nloop = asyncio.new_event_loop()\n"
        "threading.Thread(target=loop.run_forever, daemon=True).start()\n"
        "asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 'there'), loop).result()",
        exact="'there'\n",
        then=("asyncio.run_coroutine_threadsafe(asyncio.sleep(0, 'still'), loop).result()", "'still'\n"),
    ),
]

SOURCE = [
    Row("nothing", "", exact=""),
    Row("a comment alone", "# nothing", exact=""),
    Row("a comment at the end", "x  # a; comment", exact="41\n"),
    Row("a semicolon at the end", "x;", exact=""),
    Row("tabs", "if x:\n\tif x:\n\t\tprint('deep')", exact="deep\n"),
    Row("tabs and spaces mixed", "if x:\n\tprint(1)\n        print(2)", shows=("TabError",), error="error"),
    Row(
        "line ends of Windows and of old Macs",
        "a = 1\r\nb = 2\rprint(a + b)\r\n1 / 0\r\n",
        shows=("3\n", "line 4", "1 / 0"),
        error="error",
    ),
    Row("a byte order mark", "\ufeffx", exact="41\n"),
    Row("an encoding cookie", "# -*- coding: latin-1 -*-\nprint('é')", exact="é\n"),
    Row("a NUL in the source", "x\0", shows=("null byte",), error="error", hides=("worker.py",)),
    Row(
        "a future import",
        "from __future__ import annotations\ndef f(a: nowhere): pass\nf.__annotations__",
        exact="{'a': 'nowhere'}\n",
        then=("def g(b: nowhere): pass\ng.__annotations__", "{'b': 'nowhere'}\n"),
    ),
    Row(
        "a future import that the last expression wants too",
        "from __future__ import annotations\n(lambda: exec('def f(a: nowhere): pass') or 'held')()",
        exact="'held'\n",
    ),
    Row("names that are not English", "größe = 变量 = 3\ngröße + 变量", exact="6\n"),
    Row(
        "separators that end no line of Python",
        "a = '\u2028 \x0c \x1e \x85'\n1 / 0  # here",
        shows=("line 2, in <module>\n    1 / 0  # here",),
        error="error",
    ),
    Row("lone surrogates in the source", "print('a\udc80b')", exact="a?b\n"),
    Row("the end of a shell's text", "print('A')\nq = '''\nEOF\n'''\nprint('B')", exact="A\nB\n"),
    Row("a megabyte of source", "q = '" + "a" * 1_000_000 + "'\nlen(q)", exact="1000000\n"),
    Row("a thousand brackets", "(" * 1000 + ")" * 1000, shows=("too many nested parentheses",), error="error"),
    Row("an expression too deep for the parser", "-" * 100_000 + "1", shows=("Error",), error="error"),
    Row("an expression too deep for the compiler", "+".join(["1"] * 100_000), shows=("Error",), error="error"),
    Row("a return outside a function", "return 3", shows=("'return' outside function",), error="error"),
    Row("half of a bracket", "print(", shows=("was never closed",), error="error"),
]

TEXT = [
    Row("characters of every kind", r"print('é☃😀'); print('\udc80'); print('after')", exact="é☃😀\n\\udc80\nafter\n"),
    Row("a value with a lone surrogate", r"'\udc80'", exact="'\\udc80'\n"),
    Row("bytes that are no text", "import os\nn = os.write(1, b'\\xff\\xfe\\n')", exact="\ufffd\ufffd\n"),
    Row("NUL bytes", r"print('a\0b')", exact="a\0b\n"),
    Row("marks of direction and no width", r"print('a\u202eb\u200bc')", exact="a\u202eb\u200bc\n"),
    Row(
        "terminal sequences",
        r"print('\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b]8;;http://x\x1b\\link \x1bPq#0\x1b\\\x1b(Bplain\x1bc')",
        exact="red link plain\n",
    ),
    Row("a terminal sequence that never ends", r"print('\x1b]0;title'); print('after')", exact="\nafter\n"),
    Row(
        "terminal sequences that begin with a character of their own",
        r"print('\x9b31mred\x9b0m \x9d0;title\x9cplain \x90q\x9cend')",
        exact="red plain end\n",
    ),
    Row(
        "a progress bar",
        "import sys, time\n"
        "for n in range(0, 101, 5): print(f'\\r\\x1b[32m{n:3}%|' + '#' * (n // 5), end='', file=sys.stderr)\n"
        "print('\\ndone\\r\\nmore\\r')",
        exact="100%|####################\ndone\r\nmore\r\n",
    ),
    Row(
        "a progress bar without end",
        "for n in range(100_000): print(f'\\r{n} of many', end='')\nprint()\n'end'",
        shows=("characters left out", r"99999 of many\n'end'\n$"),
        hides=("99998",),
    ),
    Row("a line of 100 MB", "print('x' * 100_000_000)", shows=(r"^x{9000}", "characters left out", "x\n$")),
    Row(
        "a flood on both streams of a subprocess",
        "import subprocess\n"
        "p = subprocess.run('yes out | head -c 9999999 & yes err | head -c 9999999 >&2; wait', shell=True)\n"
        "'end'",
        shows=("characters left out", "'end'\n$"),
    ),
    Row("a huge value", "list(range(200_000))", shows=(r"^\[0, 1, 2", "characters left out", r"199999\]\n$")),
    Row(
        "a huge table",
        "import pandas as pd\npd.DataFrame({f'c{i}': range(100_000) for i in range(60)})",
        shows=(r"\[100000 rows x 60 columns\]\n$",),
        hides=("left out",),
    ),
    Row(
        "a value without a representation",
        "class A:\n    def __repr__(self): raise ValueError('bad')\nA()",
        shows=("ValueError: bad\n$",),
        error="error",
    ),
    Row(
        "a representation without an end",
        "class A:\n    def __repr__(self): return repr(self)\nA()",
        shows=("RecursionError",),
        error="error",
    ),
    Row(
        "a representation that is no text",
        "class A:\n    def __repr__(self): return 3\nA()",
        shows=("TypeError",),
        error="error",
    ),
    Row(
        "an exception that can't be told",
        "class E(Exception):\n    def __str__(self): raise SystemExit(1)\nraise E",
        shows=(r"\nE: <exception str\(\) failed>\n$",),
        error="error",
    ),
    Row("recursion without an end", "def f(): return f()\nf()", shows=("repeated 9", "RecursionError"), error="error"),
]

INPUT = [
    Row("input()", "input('name? ')", shows=("name\\? ", "EOFError"), error="error"),
    Row("reading to the end of the input", "import sys\nsys.stdin.read()", exact="''\n"),
    Row("a breakpoint", "def f():\n    breakpoint()\n    return 1\nf()", shows=("BdbQuit",), error="error"),
    Row("a breakpoint at the end", "breakpoint()", shows=("BdbQuit",), error="error"),
]

BROKEN = [
    Row(
        "functions of the language replaced",
        "import builtins\n"
        "names = 'print len repr open isinstance type str __import__ Exception BaseException SystemExit'\n"
        "for name in names.split():\n"
        "    setattr(builtins, name, None)\n1 / 0",
        shows=("ZeroDivisionError",),
        error="error",
        then=("print(len('abc'))\nrepr(x)", "3\n'41'\n"),
    ),
    Row("functions of the language removed", "import builtins\nvars(builtins).clear()", then=("len('abc')", "3\n")),
    Row(
        "every module forgotten",
        "import sys\nsys.modules.clear()",
        then=("import json, os\njson.dumps([os.getpid() > 0])", "'[true]'\n"),
    ),
    Row("every path forgotten", "import sys\nsys.path.clear(); sys.meta_path.clear(); sys.path_hooks.clear()"),
    Row(
        "the standard streams replaced",
        "import io, sys\nsys.stdout = io.StringIO(); sys.stderr = None",
        then=("print('back')", "back\n"),
    ),
    Row(
        "the standard streams closed",
        "import sys\nsys.stdout.close(); sys.stderr.close()",
        then=("print('back')", "back\n"),
    ),
    Row(
        "the standard output detached",
        "import sys\nraw = sys.stdout.detach()\n1 / 0",
        shows=("ZeroDivisionError",),
        error="error",
        then=("print('back')", "back\n"),
    ),
    Row(
        "the descriptors of the streams closed",
        "import os\nos.close(1); os.close(2)\n1 / 0",
        shows=("ZeroDivisionError",),
        error="error",
        then=("print('back')", "back\n"),
    ),
    Row(
        "another file laid over the streams",
        "import os\nf = os.open('other', os.O_CREAT | os.O_RDWR)\nn = os.dup2(f, 1), os.dup2(f, 2)\n"
        "print('into the file')",
        exact="",
        then=("print(open('other').read())\nos.remove('other')", "into the file\n\n"),
    ),
    Row("the namespace emptied", "y = x\nglobals().clear()\nx = 41"),
    Row(
        "hooks for errors and values replaced",
        "import sys\nsys.excepthook = sys.displayhook = sys.unraisablehook = None\n1 / 0",
        shows=("ZeroDivisionError",),
        error="error",
    ),
    Row(
        "a trace function that raises",
        "import sys\ndef trace(frame, event, arg):\n"
        "    if event == 'return': raise KeyError('traced')\n    return trace\nsys.settrace(trace)",
        then=("def f(): return 1\nf()", "1\n"),
    ),
    Row(
        "a profiler left on", "import sys\nsys.setprofile(lambda *told: print('profiled'))", then=("len('abc')", "3\n")
    ),
    Row(
        "a recursion limit too low",
        "import sys\nsys.setrecursionlimit(40)",
        then=("import json\njson.dumps([[[[1]]]])", "'[[[[1]]]]'\n"),
    ),
    Row("no garbage collection", "import gc\ngc.disable()"),
    Row(
        "faulthandler",
        "import faulthandler\nfaulthandler.enable()\nfaulthandler.dump_traceback()",
        shows=("Current thread", "<cell"),
    ),
    Row(
        "the environment emptied",
        "import os\nos.environ.clear()",
        then=("import subprocess\nsubprocess.run(['echo', 'found'])\nNone", "found\n"),
    ),
    Row(
        "the folder taken away",
        "import os\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
        then=("os.chdir('/')", ""),
    ),
    Row(
        "every module of our own overwritten",
        "import sys\nfor name in list(sys.modules):\n"
        "    if name.startswith('cataloger_sandbox') and name != 'cataloger_sandbox': vars(sys.modules[name]).clear()",
        error="died",
        kept=False,
    ),
]

TIME = [
    Row(
        "an endless loop", "while True: pass", error="timeout", timeout=0.3, most=5, shows=("interrupted after 0.3 s",)
    ),
    Row("a long sleep", "import time\ntime.sleep(100)", error="timeout", timeout=0.3, most=5),
    Row("a long await", "import asyncio\nawait asyncio.sleep(100)", error="timeout", timeout=0.3, most=5),
    Row(
        "an event loop that runs for ever",
        "import asyncio\nasyncio.new_event_loop().run_forever()",
        error="timeout",
        timeout=0.3,
        most=5,
    ),
    Row(
        "a long query",
        "import duckdb\n"
        "duckdb.sql('select sum(a.range * b.range % 7) from range(10000000) a, range(100000) b').fetchall()",
        error="timeout",
        timeout=1,
        most=15,
    ),
    Row(
        "interrupts that are caught",
        "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass",
        error="timeout",
        kept=False,
        timeout=0.3,
        most=15,
        shows=("nor when interrupted: the variables of all cells are lost",),
    ),
    Row(
        "interrupts that are ignored",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        error="timeout",
        kept=False,
        timeout=0.3,
        most=15,
    ),
    Row(
        "interrupts ignored in an earlier cell",
        "import signal\nh = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "m = signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))",
    ),
    Row(
        "a process that stops itself",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
        error="timeout",
        timeout=0.3,
        most=5,
    ),
    Row(
        "a subprocess that takes long",
        "import subprocess\nsubprocess.run(['sleep', '60'])",
        error="timeout",
        timeout=0.3,
        most=5,
    ),
]

ENDS = [
    Row("sys.exit", "import sys\nsys.exit(2)", error="exit", exact="[sys.exit(2): the session goes on]\n"),
    Row("os._exit", "import os\nos._exit(3)", error="died", kept=False, shows=("exit code 3",)),
    Row(
        "os._exit in a thread",
        "import os, threading, time\nthreading.Thread(target=os._exit, args=(4,)).start()\ntime.sleep(60)",
        error="died",
        kept=False,
        shows=("exit code 4",),
    ),
    Row(
        "an alarm",
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\ntime.sleep(60)",
        error="died",
        kept=False,
        shows=("SIGALRM",),
    ),
    Row("a broken pointer", "import ctypes\nctypes.string_at(0)", error="died", kept=False, shows=("SIGSEGV",)),
    Row("an abort", "import os\nos.abort()", error="died", kept=False, shows=("SIGABRT",)),
    Row("a kill of itself", "import os\nos.kill(os.getpid(), 9)", error="died", kept=False, shows=("was killed",)),
    Row("every descriptor closed", "import os\nos.closerange(0, 1000)", error="died", kept=False),
    Row(
        "every descriptor closed, and on",
        "import os, time\nos.closerange(0, 1000)\ntime.sleep(60)",
        error="died",
        kept=False,
        most=10,
    ),
    Row(
        "every process killed",
        "import os\nfor p in (os.getppid(), 1, -1):\n    try: os.kill(p, 9)\n"
        "    except OSError as error: print(error)\n'alive'",
        shows=("'alive'",),
        weaker=UNCONFINED,
    ),
    Row(
        "every process stopped",
        "import contextlib, os, signal\nfor name in os.listdir('/proc'):\n"
        "    with contextlib.suppress(ProcessLookupError):  # it may just have ended\n"
        "        if name.isdigit() and int(name) != os.getpid(): os.kill(int(name), signal.SIGSTOP)\n"
        "'alive'",
        exact="'alive'\n",
        weaker=UNCONFINED,
    ),
]

PROCESSES = [
    Row(
        "a fork that goes on as the cell",
        "import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\nprint('child' if pid == 0 else 'parent')",
        exact="child\nparent\n",
        then=("pid > 0", "True\n"),
    ),
    Row(
        "a fork that outlives its cell",
        "import os, time\nif os.fork() == 0: time.sleep(60)\nNone",
        exact="[1 process that the cell left running: ended]\n",
        most=5,
    ),
    Row(
        "a fork that fails",
        "import os\nif os.fork() == 0: raise ValueError('child')\nos.wait()[1]",
        shows=("ValueError: child", r"\n0\n$"),
    ),
    Row(
        "a child in the background that holds the output",
        "import subprocess\np = subprocess.Popen(['sleep', '60'])\nprint('ok')",
        exact="ok\n[1 process that the cell left running: ended]\n",
        most=5,
    ),
    Row(
        "a daemon that left its parents",
        "import os, time\nr, w = os.pipe()\nif os.fork() == 0:\n    os.setsid()\n"
        "    if os.fork() == 0:\n        os.write(w, b'x')\n        time.sleep(60)\n    os._exit(0)\n"
        "n = os.wait(), os.read(r, 1)",
        exact="[1 process that the cell left running: ended]\n",
    ),
    Row(
        "a pool of processes, left open",
        "import multiprocessing\ndef double(n): return 2 * n\npool = multiprocessing.Pool(2)\npool.map(double, [1, 2])",
        shows=(r"^\[2, 4\]\n", "left running: ended"),
    ),
    Row(
        "a pool of processes, closed",
        "import multiprocessing\ndef double(n): return 2 * n\n"
        "with multiprocessing.Pool(2) as pool: print(pool.map(double, [1, 2]))",
        exact="[2, 4]\n",
    ),
    Row(
        "a hundred processes, each with more",
        "import os, time\nfor _ in range(6): os.fork()\ntime.sleep(60)",
        error="timeout",
        timeout=0.5,
    ),
    Row(
        "a fork bomb",
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        error="timeout",
        kept=None,
        timeout=0.5,
        most=60,
        weaker=EACH,
    ),
    Row(
        "threads without number",
        "import threading, time\nthreading.stack_size(65536)\n"
        "for _ in range(10_000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        error="error",
        shows=("can't start new thread",),
        weaker=EACH,
    ),
    Row(
        "threads that hold the memory",
        "import threading, time\nthreading.stack_size(32 << 20)\n"
        "for _ in range(1000): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        error="error",
        shows=("can't start new thread",),
    ),
    Row(
        "a thread that prints for ever",
        "import threading\ndef go():\n    while not over: print('noise')\nover = False\n"
        "threading.Thread(target=go, daemon=True).start()",
        then=("over = True\nprint('heard')", None),
    ),
    Row(
        "a thread that starts processes for ever",
        "import subprocess, threading\ndef go():\n    while not over: subprocess.run(['sleep', '60'])\n"
        "over = False\nthreading.Thread(target=go, daemon=True).start()",
        then=("over = True", None),
        most=10,
    ),
]

FORGED = [
    Row(
        "the words of an end",
        "print('ERROR'); print('__CATALOGER_OUTPUT_END__')",
        exact="ERROR\n__CATALOGER_OUTPUT_END__\n",
    ),
    Row(
        "an error that poses as an answer",
        "class FinalAnswerException(Exception): pass\nraise FinalAnswerException('safe')",
        shows=("FinalAnswerException: safe\n$",),
        error="error",
    ),
    Row(
        "replies written to every descriptor",
        FRAME + "import os\nfor fd in range(3, 64):\n"
        "    for data in (frame, b'x', b'12345', struct.pack('>IB', 10 ** 9, 0)):\n"
        "        try: n = os.write(fd, data)\n        except OSError: pass\nprint('done')",
        shows=("done\n$",),
    ),
    Row(
        "replies written to the descriptors of others",
        FRAME
        + "import os\nn = 0\nfor p in [int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]:\n"
        "    for f in range(10):\n"
        "        try: h = open(f'/proc/{p}/fd/{f}', 'wb', 0); n += h.write(frame)\n"
        "        except OSError: pass\nn",
        exact="0\n",
        weaker=UNCONFINED,
    ),
    Row(
        "a flood of packets to the supervisor",
        "import os, threading\ndef go():\n    while not over:\n        for fd in range(3, 12):\n"
        "            try: os.write(fd, bytes(60_000))\n            except OSError: pass\n"
        "over = False\nt = [threading.Thread(target=go, daemon=True) for _ in range(3)]\n"
        "for each in t: each.start()\nwhile True: pass",
        error="timeout",
        timeout=0.5,
        most=10,
        then=("over = True\nfor each in t: each.join()", None),
    ),
    Row(
        "the memory of others",
        "import os\ndef tried(path):\n"
        "    try: return 'OPEN' if open(path, 'rb', 0).read(1) else 'ended'\n"
        "    except PermissionError: return 'closed'\n    except OSError: return 'ended'\n"
        "others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]\n"
        "{tried(f'/proc/{p}/{what}') for p in others for what in ('mem', 'environ', 'maps')} - {'ended'}",
        exact="{'closed'}\n",
        weaker=UNCONFINED,
    ),
    Row(
        "a socket to the machine below, and the call that makes sockets unseen",
        "import ctypes, os, socket\n"
        "made = []\n"
        "for family in range(46):\n"
        "    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):\n"
        "        try: socket.socket(family, kind).close(); made.append(socket.AddressFamily(family).name)\n"
        "        except OSError: pass\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "sorted(set(made)), libc.syscall(425, 1, 0), ctypes.get_errno()",
        exact="(['AF_INET', 'AF_INET6', 'AF_NETLINK', 'AF_UNIX'], -1, 1)\n",
    ),
    Row(
        "every signal to the supervisor",
        "import os\nfor number in range(1, 65):\n    for p in {1, os.getppid()}:\n"
        "        try: os.kill(p, number)\n        except OSError: pass\n'alive'",
        exact="'alive'\n",
        weaker=UNCONFINED,
    ),
    Row(
        "limits and priorities of others lowered",
        "import os, resource\ndone = []\ndef tried(name, call, *told):\n"
        "    try: call(*told); done.append((name, told))\n    except OSError: pass\n"
        "others = {os.getppid(), *(int(p) for p in os.listdir('/proc') if p.isdigit())} - {os.getpid()}\n"
        "for p in others:\n"
        "    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_DATA, resource.RLIMIT_CPU):\n"
        "        tried('limit', resource.prlimit, p, limit, (0, 0))\n"
        "    tried('nice', os.setpriority, os.PRIO_PROCESS, p, 19)\n"
        "    tried('idle', os.sched_setscheduler, p, os.SCHED_IDLE, os.sched_param(0))\n"
        "    tried('cpu', os.sched_setaffinity, p, {0})\n"
        "tried('nice all', os.setpriority, os.PRIO_USER, 0, 19)\n"
        "tried('nice group', os.setpriority, os.PRIO_PGRP, os.getpgid(os.getppid()), 19)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "os.setpriority(os.PRIO_PROCESS, 0, 1)\ndone",
        exact="[]\n",
    ),
    Row(
        "the kernel's keys, and what of System V's outlives its process",
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "calls = {'x86_64': (250, 248, 249, 29, 64, 68), 'aarch64': (219, 217, 218, 194, 190, 186)}\n"
        "[(libc.syscall(n, 0, 1 << 20, 0o1600, 0, 0), ctypes.get_errno()) for n in calls[os.uname().machine]]",
        exact=f"{[(-1, 1)] * 6}\n",
    ),
    Row(
        "a debugger on the supervisor",
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "[libc.ptrace(16, p, 0, 0) for p in (1, os.getppid())]",
        exact="[-1, -1]\n",
        weaker=UNCONFINED,
    ),
]

MEMORY = [
    Row(
        "memory in bytes",
        "kept = []\nwhile True: kept.append(bytearray(50 << 20))",
        shows=("MemoryError",),
        error="error",
        then=("del kept", ""),
    ),
    Row(
        "memory in numpy",
        "import numpy\nkept = []\nwhile True: kept.append(numpy.ones(5_000_000))",
        shows=("MemoryError",),
        error="error",
        then=("del kept", ""),
    ),
    Row(
        "memory in DuckDB",
        "import duckdb\nduckdb.sql(\"set memory_limit='64GB'\")\n"
        "duckdb.sql(\"set max_temp_directory_size='0GB'\")\n"
        "duckdb.sql('select list(range) from range(1000000000)').fetchall()",
        shows=("Error",),
        error="error",
    ),
    Row(
        "memory in small things",
        "kept = []\nwhile True: kept.append(bytes(400))",
        shows=("MemoryError",),
        error="error",
        then=("kept = None", ""),
    ),
    Row(
        "memory that is shared",
        "import mmap\nkept = []\nwhile True:\n"
        "    kept.append(mmap.mmap(-1, 64 << 20)); kept[-1].write(bytes(64 << 20))",
        error="died",
        kept=False,
        weaker=EACH,
    ),
    Row(
        "memory in many children",
        "import os\nfor _ in range(5):\n    if os.fork() == 0:\n        kept = []\n"
        "        while True: kept.append(bytearray(b'x' * (20 << 20)))\nwhile True:\n"
        "    try: n = os.wait()\n    except ChildProcessError: break\n'alive'",
        kept=True,
        weaker=EACH,
        most=60,
    ),
    Row(
        "the work folder filled",
        "import os\ntry:\n    for n in range(40):\n        with open(f'big{n}', 'wb') as f:\n"
        "            for _ in range(20): f.write(bytes(1 << 20))\n"
        "finally:\n    for name in os.listdir('.'): os.remove(name)",
        shows=("No space left on device",),
        error="error",
    ),
    Row(
        "files without number",
        "import os, shutil\ntold = []\nfor place in (os.getcwd(), '/tmp', '/dev/shm'):\n"
        "    os.mkdir(f'{place}/many')\n    try:\n"
        "        for n in range(100_000): os.close(os.open(f'{place}/many/{n}', os.O_CREAT))\n"
        "    except OSError as error: told.append(error.strerror)\n"
        "    finally: shutil.rmtree(f'{place}/many')\ntold",
        exact=f"{['No space left on device'] * 3}\n",
        weaker={"bubblewrap": "the folders in memory are bounded by what is in the files, not by their number"},
    ),
    Row(
        "descriptors without end",
        "kept = []\nwhile True: kept.append(open('/dev/null'))",
        shows=("Too many open files",),
        error="error",
        then=("del kept", ""),
    ),
    Row(
        "a plot", "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);", shows=("ModuleNotFoundError",), error="error"
    ),
]

BEYOND = [*ENDS, *PROCESSES, *FORGED, *MEMORY]
"""Those that reach beyond their own interpreter."""

ROWS: dict[Kind, list[Row]] = {
    # What stays within the interpreter is the same without confinement.
    "plain": [*ENDS, *PROCESSES, *FORGED],
    "bubblewrap": [*ORDER, *SOURCE, *TEXT, *INPUT, *BROKEN, *TIME, *BEYOND],
    "docker": [*ORDER, *SOURCE, *TEXT, *INPUT, *BROKEN, *TIME, *BEYOND],
}
