"""Collections as Parquet datasets, made in threads or on a Dask cluster.

May import clip, output and all below them, but not drawing, web and cli.
"""
