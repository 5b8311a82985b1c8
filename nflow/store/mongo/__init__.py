"""The store on a site's MongoDB. The only package that knows pymongo; imported where it is configured."""

from nflow.store.mongo.connection import Connection
from nflow.store.mongo.store import MongoStore

__all__ = ["Connection", "MongoStore"]
