"""The side-by-side bench: what a request costs through Weft and through its peers. See README.md."""
