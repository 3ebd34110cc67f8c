"""Reads tests/fixtures/exchanges/existing.txt: what goes between the existing worker and the existing
dashboard."""
import pathlib
import re

FILE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "exchanges" / "existing.txt"


class Message:
    """One side's. start: the first line; headers: {name: value} in order; body: text."""

    def __init__(self, lines, line_end):
        end = lines.index("")
        self.start, *headers = lines[:end]
        self.headers = dict(line.split(": ", 1) for line in headers)
        self.body = line_end.join(lines[end + 1:])

    def bytes(self, **values):
        """As it goes over the wire. values: what {name} stands for; {length} is known."""
        body = fill(self.body, values).encode()
        values["length"] = len(body)
        head = [self.start, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        return fill("\r\n".join(head), values).encode() + body


class Exchange:
    def __init__(self, name, lines):
        self.name = name
        self.request = Message([line[2:] for line in lines if line[:1] == ">"], "\r\n")
        self.answer = Message([line[2:] for line in lines if line[:1] == "<"], "\n")

    @property
    def method(self):
        return self.request.start.split()[0]

    @property
    def path(self):
        return self.request.start.split()[1]

    @property
    def status(self):
        return int(self.answer.start.split()[1])


def fill(text, values):
    """JSON has braces too: only {names} that have a value are filled."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), text)


def read():
    """{name: Exchange}"""
    exchanges = {}
    for section in FILE.read_text().split("\n=== ")[1:]:
        name, *lines = section.split("\n")
        exchanges[name] = Exchange(name, lines)
    return exchanges
