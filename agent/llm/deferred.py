"""Lets a package be imported for a few of its modules, without what its `__init__` would load besides.

`openai` loads some four hundred modules of generated types with its first name: two thirds of its import, and
of the time from start to first request. The loop keeps the service's items as JSON objects and uses none of them.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Collection, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


@contextlib.contextmanager
def deferred(packages: Collection[str]) -> Iterator[None]:
    """Inside, the `__init__` of each package runs only when a name is asked for that no module of it bears.

    The package stays whole: whoever asks for such a name later gets it, and pays for it then.
    """
    finder = _Finder(frozenset(packages))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, packages: frozenset[str]) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Deferring(spec.loader)
        return spec


class _Deferring(Loader):
    def __init__(self, whole: Loader) -> None:
        self._whole = whole

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._whole.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        def ask(name: str) -> object:  # PEP 562
            if name.startswith("__"):
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            part = f"{module.__name__}.{name}"
            if PathFinder.find_spec(part, module.__path__) is not None:
                return importlib.import_module(part)
            vars(module).pop("__getattr__", None)
            self._whole.exec_module(module)
            return getattr(module, name)

        vars(module)["__getattr__"] = ask
