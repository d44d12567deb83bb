"""Write every generated page: `python -m docs_generator`."""

from docs_generator.pages import PAGES, ROOT


def main() -> None:
    """Write the pages that differ from the code, and print their names."""
    for name, render in PAGES.items():
        path = ROOT / name
        text = render()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {name}")


if __name__ == "__main__":
    main()
