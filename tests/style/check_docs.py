# SPDX-License-Identifier: Apache-2.0
"""Checks that what the Markdown pages name is there: linked files and headings, paths of the tree,
and programs and libraries that the build makes."""

import posixpath
import re

import project_files

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"`([^`\n]+)`")
PATH_CHARACTERS = r"[\w./*{},-]+"
TARGET = re.compile(r"(?<![\w/])funnel[-_][a-z0-9_-]+(?!\.\w)\b")
MADE_TARGET = re.compile(r"(?:add_executable|add_library)\(\s*([\w-]+)|OUTPUT_NAME\s+\"?([\w-]+)")


def headings(text):
    """The anchors that GitHub makes of a page's headings."""
    for line in re.findall(r"^#+\s+(.*)$", FENCE.sub("", text), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-")


def spread(path):
    """{a,b} in a path stands for two paths."""
    match = re.search(r"\{([^{}]*)\}", path)
    if not match:
        return [path]
    return [p for part in match[1].split(",") for p in spread(path[: match.start()] + part + path[match.end() :])]


def exists(path, files):
    path = path.rstrip("/.")
    if "*" in path:
        return any(re.fullmatch(re.escape(path).replace(r"\*", "[^/]*"), f) for f in files)
    return path in files or any(f.startswith(path + "/") for f in files)


def check_links(page, text, files):
    for link in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target)) if target else page
        if not exists(path, files):
            yield f"{page}: link to {link}, which does not exist"
        elif anchor and anchor not in headings(files.get(path, "")):
            yield f"{page}: {path} has no heading #{anchor}"


def check_names(page, code, files, targets):
    folders = sorted({f.split("/")[0] for f in files if "/" in f})
    for candidate in re.findall(rf"(?<![\w./-])(?:\./)?((?:{'|'.join(map(re.escape, folders))})/{PATH_CHARACTERS})", code):
        for path in spread(candidate.rstrip(",")):
            if not exists(path, files):
                yield f"{page}: names {path}, which does not exist"
    for target in TARGET.findall(code):
        if target not in targets:
            yield f"{page}: names {target}, which the build does not make"


def check(files):
    builds = [text for path, text in files.items() if path.endswith("CMakeLists.txt")]
    targets = {name for text in builds for pair in MADE_TARGET.findall(text) for name in pair if name}
    for page, text in files.items():
        if not page.endswith(".md"):
            continue
        yield from check_links(page, text, files)
        code = "\n".join(FENCE.findall(text) + CODE_SPAN.findall(FENCE.sub("", text)))
        yield from check_names(page, code, files, targets)


if __name__ == "__main__":
    project_files.report(check, project_files.read_all(project_files.root_argument()))
