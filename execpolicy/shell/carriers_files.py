"""Programs that write where their operands say, each in its own way: cp, tar, dd, curl, unzip, fd, ..."""

from __future__ import annotations

from execpolicy.facts import Access, Effect, Word
from execpolicy.shell.carriers_base import Carried, Pad
from execpolicy.shell.carriers_hosts import ssh_setting
from execpolicy.shell.carriers_options import Scan, known, scan_all, tail
from execpolicy.shell.catalogue import Entry, Role

Argv = tuple[Word, ...]

# Values of curl that name a file behind an `@`.
AT_FILE = frozenset(
    ("-d", "--data", "--data-binary", "--data-ascii", "--json", "-H", "--header", "-w", "--write-out")
)


def copy(program: str, entry: Entry, argv: Argv) -> Carried:
    """`cp SOURCE... TARGET`, `cp -t TARGET SOURCE...`; with HOST:PATH operands over the network."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    remote = Effect.REMOTE in entry.effects
    for setting in read.of("-o") if program == "scp" else ():
        ssh_setting(pad, setting)
    operands = tuple(word for word in read.operands if not (remote and _elsewhere(word)))
    if remote and len(operands) != len(read.operands):
        last = read.operands[-1] if read.operands else None
        for word in operands:
            pad.touch(word, Access.WRITE if word is last else Access.READ)
        return pad.carried()
    targets = read.of("-t", "--target-directory")
    if targets:
        for word in operands:
            pad.role(entry.operands or Role.READ, word, word, f"operand of {program}")
        _into(pad, targets[-1], operands)
    else:
        pad.operand_roles(Scan(read.options, operands, read.rest))
        if len(operands) > 1:
            name = known(operands[-1]) or ""
            if len(operands) > 2 or name.endswith("/") or name in (".", ".."):
                _into(pad, operands[-1], operands[:-1])
    return pad.carried()


def _elsewhere(word: Word) -> bool:
    """HOST:PATH or a URL."""
    host, colon, _ = word.prefix.partition(":")
    return bool(colon) and "/" not in host and not host.startswith(".")


def _into(pad: Pad, folder: Word, sources: Argv) -> None:
    """Files that come to lie inside a folder have a path there."""
    base = known(folder)
    for source in sources:
        name = (known(source) or "").rstrip("/").rpartition("/")[2]
        if base is not None and name not in ("", ".", ".."):
            path = f"{base.rstrip('/') or '/'}/{name}" if base != "/" else f"/{name}"
            pad.touch(Word.literal(path, span=source.span), Access.WRITE)


def dd(program: str, entry: Entry, argv: Argv) -> Carried:
    """`dd if=FILE of=FILE`."""
    pad = Pad(program, entry)
    for word in argv[1:]:
        if word.prefix.startswith("of=") and not word.many:
            pad.touch(tail(word, 3), Access.WRITE, "`of=` of dd")
        elif word.prefix.startswith("if=") and not word.many:
            pad.touch(tail(word, 3), Access.READ, "`if=` of dd")
        elif known(word) is None and not ("=" in word.prefix and not word.many):
            pad.unknown(f"`{word.raw}` may name a file to write", word)
    return pad.carried()


def tar(program: str, entry: Entry, argv: Argv) -> Carried:
    """`tar -xf FILE`, `tar xf FILE`, and the options that run programs."""
    pad = Pad(program, entry)
    read = scan_all(_old_style(argv, entry.options.values), entry.options)
    pad.unknowns.extend(read.doubts)
    for option in read.options:
        if option.value is None:
            continue
        if option.name == "--checkpoint-action":
            action = option.value.prefix
            if action.startswith("exec=") and known(option.value) is not None:
                pad.shell_text(tail(option.value, 5), "sh")
            elif action.partition("=")[0] not in ("dot", ".", "bell", "echo", "sleep", "ttyout", "totals"):
                pad.unknown("an action of tar that is not known", option.value)
        elif option.name in ("--to-command", "-F", "--info-script", "--new-volume-script"):
            pad.shell_text(option.value, "sh", where=f" of `{option.name}`")
        elif option.name in ("-I", "--use-compress-program", "--rsh-command", "--rmt-command"):
            pad.run_split(option.value)
        elif (
            option.name in ("--transform", "--xform", "-s")
            and "e" in (known(option.value) or "e").rpartition("/")[2]
        ):
            pad.unknown("a transformation of names that may run a program", option.value)
        elif option.name in ("-T", "--files-from", "-X", "--exclude-from"):
            pad.touch(option.value, Access.READ)
        elif option.name in ("-g", "--listed-incremental", "--index-file", "--volno-file"):
            pad.touch(option.value, Access.WRITE)
    if read.has("-T", "--files-from"):
        pad.unknown("a list of files may hold options of tar", argv[0])
    _archive(pad, read, argv)
    return pad.carried()


def _old_style(argv: Argv, values: frozenset[str]) -> Argv:
    """`tar xzf a.tgz -C d` as `tar -x -z -f a.tgz -C d`: values follow in the order of their letters."""
    text = known(argv[1]) if len(argv) > 1 else None
    if not text or text.startswith("-"):
        return argv
    words: list[Word] = []
    rest = list(argv[2:])
    for letter in text:
        words.append(Word.literal(f"-{letter}", span=argv[1].span))
        if f"-{letter}" in values and rest:
            words.append(rest.pop(0))
    return (argv[0], *words, *rest)


def _archive(pad: Pad, read: Scan, argv: Argv) -> None:
    extracts = read.has("-x", "--extract", "--get")
    changes = read.has("-c", "--create", "-r", "--append", "-u", "--update", "-A", "--catenate", "--delete")
    for archive in read.of("-f", "--file"):
        if ":" in archive.prefix and "/" not in archive.prefix.partition(":")[0]:
            pad.effects.add(Effect.REMOTE)
            pad.unknown("an archive on another machine", archive)
        pad.touch(archive, Access.WRITE if changes else Access.READ)
    folders = read.of("-C", "--directory", "--one-top-level")
    if extracts and not read.has("-O", "--to-stdout"):
        for folder in folders or (Word.literal(".", span=argv[0].span),):
            pad.touch(folder, Access.WRITE, "folder that tar unpacks into")
        if read.has("-P", "--absolute-names"):
            pad.unknown("tar unpacks to paths that the archive names", argv[0])
    if changes:
        for path in read.operands:
            pad.touch(path, Access.READ)
    if read.has("--remove-files"):
        for path in read.operands:
            pad.touch(path, Access.DELETE)


def unzip(program: str, entry: Entry, argv: Argv) -> Carried:
    """`unzip FILE [-d FOLDER]`: unpacks unless it is asked to list."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    for archive in read.operands[:1]:
        pad.touch(archive, Access.READ)
    if not read.has("-d", *entry.inert) and read.operands:
        pad.touch(Word.literal(".", span=argv[0].span), Access.WRITE, "folder that unzip unpacks into")
    return pad.carried()


def sevenzip(program: str, entry: Entry, argv: Argv) -> Carried:
    """`7z l FILE` lists, `7z x FILE -oFOLDER` unpacks, `7z a FILE SOURCE...` packs."""
    pad = Pad(program, entry)
    operands = tuple(word for word in argv[1:] if not word.prefix.startswith("-"))
    command = known(operands[0]) if operands else ""
    if command in ("l", "t", "i", "b", "h"):
        for path in operands[1:2]:
            pad.touch(path, Access.READ)
    elif command in ("x", "e"):
        for path in operands[1:2]:
            pad.touch(path, Access.READ)
        folders = [
            tail(word, 2) for word in argv[1:] if word.prefix.startswith("-o") and len(word.prefix) > 2
        ]
        for folder in folders or [Word.literal(".", span=argv[0].span)]:
            pad.touch(folder, Access.WRITE)
    elif command in ("a", "u", "d", "rn"):
        for path in operands[1:2]:
            pad.touch(path, Access.WRITE)
        for path in operands[2:]:
            pad.touch(path, Access.READ)
    elif argv[1:]:
        pad.unknown(f"a command of `{program}` that is not known", argv[1])
    return pad.carried()


def curl(program: str, entry: Entry, argv: Argv) -> Carried:
    """`curl URL`: files it sends (`-d @FILE`), and the ones it names itself (-O)."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    for option in read.options:
        value = option.value
        if value is None:
            continue
        if option.name in AT_FILE:
            if value.prefix.startswith("@"):
                pad.touch(tail(value, 1), Access.READ, f"`{option.name}` of curl")
        elif option.name in ("-F", "--form", "--data-urlencode", "--variable", "--url-query"):
            for mark in ("=@", "=<", "@"):
                if mark in value.prefix:
                    start = value.prefix.index(mark) + len(mark)
                    path = tail(value, start)
                    text = known(path)
                    clean = path if text is None else Word.literal(text.partition(";")[0], span=path.span)
                    pad.touch(clean, Access.READ, f"`{option.name}` of curl")
                    break
    if read.has("-O", "--remote-name", "--remote-name-all", "-J", "--remote-header-name"):
        pad.touch(Word.unknown("a file that the address names", prefix="./", span=argv[0].span), Access.WRITE)
    for url in read.operands:
        if url.prefix.lower().startswith("file:"):
            pad.touch(_local(url), Access.READ)
    return pad.carried()


def _local(url: Word) -> Word:
    text = known(url)
    if text is None:
        return Word.unknown(url.why, raw=url.raw, span=url.span)
    path = text[len("file:") :]
    return Word.literal("/" + path.lstrip("/"), span=url.span)


def wget(program: str, entry: Entry, argv: Argv) -> Carried:
    """`wget URL` writes a file that the address names, unless told another one."""
    pad = Pad(program, entry)
    read = scan_all(argv, entry.options)
    pad.doubts(read)
    pad.roles(read)
    told = read.has(
        "-O", "--output-document", "-P", "--directory-prefix", "--spider", "--version", "-V", "--help", "-h"
    )
    if not told:
        pad.touch(Word.unknown("a file that the address names", prefix="./", span=argv[0].span), Access.WRITE)
    return pad.carried()
