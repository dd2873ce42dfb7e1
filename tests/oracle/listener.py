"""An event listener that writes down what it gets, and answers as it is told.

Usage: listener.py FILE [ANSWER...]

Each event is a line of FILE: the header as it came, and the payload as Python shows bytes. Process
ids and times in it are replaced, and the length is that of the replaced text. FILE is read at the
start as well: an event's answer goes by its place in it, so that a successor continues.

The first event gets the first ANSWER and so on, those after them OK:
  OK, FAIL    a proper result of that text
  HANG        nothing, for ever
  EXIT        nothing: the listener ends
  other text  just that, with \\n for the end of a line; then nothing, unless it ends in READY\\n
"""

import os
import re
import sys
import time


def take(data, count):
    """The payload of `count` characters that `data` begins with, if it is whole."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None  # a character is still cut in two
    return text[:count].encode() if len(text) >= count else None


def steady(payload):
    """The payload without what differs from run to run."""
    payload = re.sub(rb"\bpid:[1-9]\d*", b"pid:PID", payload)
    return re.sub(rb"\bwhen:\d+", b"when:WHEN", payload)


def say(text):
    os.write(1, text.encode())


def events():
    data = b""
    while True:
        while b"\n" not in data:
            chunk = os.read(0, 65536)
            if not chunk:
                return
            data += chunk
        header, data = data.split(b"\n", 1)
        length = int(header.rsplit(b" len:", 1)[1])
        while take(data, length) is None:
            data += os.read(0, 65536)
        payload = take(data, length)
        data = data[len(payload):]
        shown = steady(payload)
        length += len(shown) - len(payload)
        yield b"%s len:%d" % (header.rsplit(b" len:", 1)[0], length), shown


def main():
    file, answers = sys.argv[1], sys.argv[2:]
    try:
        with open(file) as earlier:
            answers = answers[len(earlier.readlines()):]
    except FileNotFoundError:
        pass
    say("READY\n")
    for header, payload in events():
        with open(file, "a") as lines:
            lines.write("%s %r\n" % (header.decode(), payload))
        answer = answers.pop(0) if answers else "OK"
        if answer == "EXIT":
            sys.exit(3)
        elif answer == "HANG":
            time.sleep(3600)
        elif answer in ("OK", "FAIL"):
            say("RESULT %d\n%sREADY\n" % (len(answer), answer))
        else:
            say(answer.replace("\\n", "\n"))


main()
