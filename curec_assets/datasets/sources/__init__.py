"""Where interactions and items come from: MovieLens with Wikidata, files, a toy set."""
