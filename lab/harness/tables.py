"""Tables as doc/benchmarks.md has them."""


def print_table(title: str, heads: list[str], rows: list[list[str]]) -> None:
    """heads: of all columns but the first, which names the rows."""
    print(f"\n{title}:\n\n| | " + " | ".join(heads) + " |\n|" + " --- |" * (len(heads) + 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
