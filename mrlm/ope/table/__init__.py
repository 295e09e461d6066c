"""Evaluate policies from a table of logged rounds: Parquet, CSV, obp feedback or VW dsjson."""

from mrlm.ope.table.evaluate import evaluate_table
from mrlm.ope.table.logged import LoggedTable
from mrlm.ope.table.result import TableEvaluation

__all__ = ["LoggedTable", "TableEvaluation", "evaluate_table"]
