"""The intermediate representation: types, schemas, graphs, their text and their verifier."""
