"""Runs a program on a pseudo-terminal and answers its questions.

dialogue.py [PATTERN ANSWER]... -- PROGRAM ARGUMENT...
Each answer is typed once its pattern (a regular expression) has appeared after the last one; \\n in it is the key Enter.
Prints what the terminal showed, and last the program's exit code. After a minute without an end the program is killed.
"""

import os
import pty
import re
import select
import signal
import sys
import time

LIMIT = 60


def main():
    words = sys.argv[1:]
    end = words.index("--")
    answers = list(zip(words[0:end:2], words[1:end:2]))
    command = words[end + 1 :]
    child, terminal = pty.fork()
    if child == 0:
        os.execvp(command[0], command)
    seen, position, started = b"", 0, time.monotonic()
    while time.monotonic() - started < LIMIT:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
        if answers and re.search(answers[0][0].encode(), seen[position:]):
            # What is typed before the program has turned the echo off would be thrown away.
            time.sleep(0.3)
            position = len(seen)
            os.write(terminal, answers.pop(0)[1].replace("\\n", "\n").encode())
    else:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(seen.decode(errors="replace").replace("\r\n", "\n"))
    print(f"exit {code}, {len(answers)} answers not asked for")


main()
