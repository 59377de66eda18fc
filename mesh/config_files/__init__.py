"""Config files: what is to be deployed, in YAML. Read and written here; never imported by a replica.

``schema.py`` has the shape, derived from the settings that Python code gives; ``reading.py`` finds for every mistake
its line; ``writing.py`` goes the other way.
"""
