"""The cases of tests/jinja/*.test: see record for their form."""
import json


def dumps(value):
    return json.dumps(value, ensure_ascii=False, default=str)


class Case:
    def __init__(self, file, line, how, own):
        self.file, self.line, self.how, self.own = file, line, how, own
        self.raw, self.vars, self.raw_vars, self.answer = None, {}, "{}", None

    @property
    def template(self):
        return json.loads(self.raw) if self.raw.startswith('"') else self.raw

    def request(self):
        how = {k: v for k, v in self.how.items() if k != "keep"}
        return {**how, "template": self.template, "vars": self.vars}


class File:
    def __init__(self, name):
        self.name, self.items = name, []

    @property
    def cases(self):
        return [x for x in self.items if isinstance(x, Case)]

    def write(self):
        with open(self.name, "w", encoding="utf-8") as f:
            for x in self.items:
                if isinstance(x, Case):
                    if x.own:
                        f.write(x.own + "\n")
                    f.write(f"{x.raw}\n{x.raw_vars}\n" + (f"{x.answer}\n" if x.answer else ""))
                else:
                    f.write(x + "\n")


def read(name):
    file, rest, case, own = File(name), {}, None, None
    with open(name, encoding="utf-8") as f:
        lines = f.read().split("\n")
    if lines and not lines[-1]:
        lines.pop()
    for n, line in enumerate(lines, 1):
        if not line.strip() or (line.startswith("#") and not case):
            case = None
            file.items.append(line)
        elif line.startswith("%%% "):
            rest = json.loads(line[4:])
            file.items.append(line)
        elif line.startswith("%% "):
            own = line
        elif not case:
            case = Case(name, n, {**rest, **(json.loads(own[3:]) if own else {})}, own)
            case.raw, own = line, None
            file.items.append(case)
        elif case.raw_vars == "{}" and line.startswith("{") and case.answer is None and not hasattr(case, "have_vars"):
            case.raw_vars, case.vars, case.have_vars = line, json.loads(line), True
        else:
            case.answer, case = line, None
    return file
