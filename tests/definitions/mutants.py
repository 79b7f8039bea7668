"""Mutants of the compiled SQL: one small wrong change each, made systematically on the syntax tree.

Every place where an operator applies gives a mutant: comparisons and window ends moved by one, clauses
dropped, conditions negated, the other date column, order keys turned or dropped, minimum and maximum
exchanged, defaults turned, left joins made inner, `distinct`, `filter`, `not`, values of lists and branches
of `case` dropped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import sqlglot
from sqlglot import exp

DIALECT = "duckdb"
OTHER_BOUND = {exp.LT: exp.LTE, exp.LTE: exp.LT, exp.GT: exp.GTE, exp.GTE: exp.GT}
OPPOSITE = {
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.LogicalOr: exp.LogicalAnd,
    exp.LogicalAnd: exp.LogicalOr,
    exp.Least: exp.Greatest,
    exp.Greatest: exp.Least,
}
OTHER_DATE = {"event_date": "available_date", "available_date": "event_date"}
# Joined on, a person or an example is never left out: the mutant would compare everybody with everybody.
KEYS = {"person_id", "example_id", "task"}


@dataclass(frozen=True)
class Mutant:
    """One wrong version of one model; its name holds while the SQL around the place changes."""

    model: str
    cte: str
    operator: str
    before: str
    after: str
    number: int  # of mutants that would otherwise have the same name
    sql: str

    @property
    def name(self) -> tuple[str, str, str, str, str, int]:
        """What identifies it."""
        return self.model, self.cte, self.operator, self.before, self.after, self.number


# Operator, what stands instead of the node (None removes it), and words for the change of a long node.
Change = tuple[str, exp.Expression | None] | tuple[str, exp.Expression, str]


def normalised(sql: str) -> str:
    """Return the SQL as sqlglot writes it, which is what the mutants are written in."""
    return sqlglot.parse_one(sql, read=DIALECT).sql(DIALECT)


@cache
def mutants_of(model: str, sql: str) -> tuple[Mutant, ...]:
    """Return every mutant of one model, without those that read like the model or like another mutant."""
    tree = sqlglot.parse_one(sql, read=DIALECT)
    seen, made, numbers = {tree.sql(DIALECT)}, [], {}
    for place, node in enumerate(tree.walk()):
        for operator, instead, *words in changes(node):
            mutated = _with(tree, place, instead)
            if mutated not in seen:
                seen.add(mutated)
                before = words[0] if words else node.sql(DIALECT)
                after = "" if instead is None or words else instead.sql(DIALECT)
                name = (model, _cte(node), operator, before, after)
                numbers[name] = numbers.get(name, 0) + 1
                made.append(Mutant(*name, numbers[name], mutated))
    return tuple(made)


def changes(node: exp.Expression) -> Iterator[Change]:
    """Return every change that an operator makes at a node."""
    if not _is_final_order(node) and not _is_wording(node):
        for operator in OPERATORS:
            yield from operator(node)


def _with(tree: exp.Expression, place: int, instead: exp.Expression | None) -> str:
    copy = tree.copy()
    node = next(node for number, node in enumerate(copy.walk()) if number == place)
    if instead is None:
        node.pop()
    else:
        node.replace(instead.copy())
    return copy.sql(DIALECT)


def _cte(node: exp.Expression) -> str:
    around = node.find_ancestor(exp.CTE)
    return around.alias if around else ""


def _is_final_order(node: exp.Expression) -> bool:
    """Whether the node orders the rows of a table, which have no order."""
    order = node if isinstance(node, exp.Order) else node.find_ancestor(exp.Order)
    return order is not None and isinstance(order.parent, exp.Select)


def _is_wording(node: exp.Expression) -> bool:
    """Whether the node is part of a description, which no result depends on."""
    while node is not None and not isinstance(node, exp.Select):
        if isinstance(node, exp.Alias) and node.alias == "description":
            return True
        node = node.parent
    return False


def _bound(node: exp.Expression) -> Iterator[Change]:
    """`<` and `<=`, `>` and `>=`."""
    if type(node) in OTHER_BOUND:
        yield "bound", OTHER_BOUND[type(node)](this=node.this.copy(), expression=node.expression.copy())


def _between(node: exp.Expression) -> Iterator[Change]:
    """Each end of `between` left out of the window, and no end at all."""
    if isinstance(node, exp.Between):
        this, low, high = node.this, node.args["low"], node.args["high"]
        for left, right in ((exp.GT, exp.LTE), (exp.GTE, exp.LT)):
            yield (
                "between",
                exp.Paren(
                    this=exp.And(
                        this=left(this=this.copy(), expression=low.copy()),
                        expression=right(this=this.copy(), expression=high.copy()),
                    )
                ),
            )
        yield "half_between", exp.GTE(this=this.copy(), expression=low.copy())
        yield "half_between", exp.LTE(this=this.copy(), expression=high.copy())


def _day(node: exp.Expression) -> Iterator[Change]:
    """A sum of days and a whole number, one more and one less."""
    if isinstance(node, exp.Add | exp.Sub) and not isinstance(node.parent, exp.Add | exp.Sub):
        for sign in (exp.Add, exp.Sub):
            yield "day", exp.Paren(this=sign(this=node.copy(), expression=exp.Literal.number(1)))


def _sign(node: exp.Expression) -> Iterator[Change]:
    """`+` and `-`."""
    if isinstance(node, exp.Add | exp.Sub):
        other = exp.Sub if isinstance(node, exp.Add) else exp.Add
        yield "sign", other(this=node.this.copy(), expression=node.expression.copy())


def _number(node: exp.Expression) -> Iterator[Change]:
    """A whole number, one more."""
    if (
        isinstance(node, exp.Literal)
        and not node.is_string
        and node.find_ancestor(exp.EQ, exp.GTE, exp.LTE, exp.GT, exp.LT, exp.Coalesce)
    ):
        yield "number", exp.Literal.number(int(node.this) + 1)


def _clause(node: exp.Expression) -> Iterator[Change]:
    """One side of `and` and of `or` dropped; keys of a join stay."""
    if isinstance(node, exp.And | exp.Or):
        for dropped, kept in ((node.left, node.right), (node.right, node.left)):
            if not _joins_key(dropped):
                yield "clause", kept.copy()
        other = exp.Or if isinstance(node, exp.And) else exp.And
        if not node.find_ancestor(exp.Join) and not any(_joins_key(side) for side in (node.left, node.right)):
            yield "and_or", exp.Paren(this=other(this=node.left.copy(), expression=node.right.copy()))


def _joins_key(node: exp.Expression) -> bool:
    return any(isinstance(e.this, exp.Column) and e.this.name in KEYS for e in node.find_all(exp.EQ))


def _where(node: exp.Expression) -> Iterator[Change]:
    """The whole of `where`, `having` and `filter` dropped."""
    if isinstance(node, exp.Where | exp.Having) and not isinstance(node.parent, exp.Filter):
        if isinstance(node.this, exp.Boolean):
            return
        yield "where", None
    if isinstance(node, exp.Filter):
        yield "filter", node.this.copy()


def _negation(node: exp.Expression) -> Iterator[Change]:
    """A comparison with a word turned, `not` dropped, `is null` turned."""
    if isinstance(node, exp.EQ | exp.NEQ) and isinstance(node.expression, exp.Literal):
        other = exp.NEQ if isinstance(node, exp.EQ) else exp.EQ
        yield "negation", other(this=node.this.copy(), expression=node.expression.copy())
    if isinstance(node, exp.Not):
        yield "negation", node.this.copy()
    if isinstance(node, exp.Is) and not isinstance(node.parent, exp.Not):
        yield "negation", exp.Not(this=node.copy())


def _column(node: exp.Expression) -> Iterator[Change]:
    """The other date column of an event."""
    if isinstance(node, exp.Column) and node.name in OTHER_DATE:
        other = exp.column(OTHER_DATE[node.name], table=node.table or None)
        yield "column", exp.alias_(other, node.name) if isinstance(node.parent, exp.Select) else other


def _extreme(node: exp.Expression) -> Iterator[Change]:
    """Minimum and maximum, any and every, least and greatest."""
    if type(node) in OPPOSITE:
        other = node.copy()
        yield "extreme", OPPOSITE[type(node)](**other.args)


def _default(node: exp.Expression) -> Iterator[Change]:
    """The truth value of a default turned, another default dropped (false reads like the null under it)."""
    if isinstance(node, exp.Coalesce):
        last = node.expressions[-1]
        if isinstance(last, exp.Boolean):
            turned = exp.Boolean(this=not last.this)
            yield "default", exp.Coalesce(this=node.this.copy(), expressions=[turned])
        else:
            yield "default", node.this.copy()
        if isinstance(last, exp.Column):
            yield "default", last.copy()


def _join(node: exp.Expression) -> Iterator[Change]:
    """A left join made inner."""
    if isinstance(node, exp.Join) and node.side == "LEFT":
        other = node.copy()
        other.set("side", None)
        other.set("kind", "INNER")
        yield "join", other


def _member(node: exp.Expression) -> Iterator[Change]:
    """A value of a list left out."""
    if isinstance(node, exp.In) and len(node.expressions) > 1:
        for number in range(len(node.expressions)):
            other = node.copy()
            other.set("expressions", other.expressions[:number] + other.expressions[number + 1 :])
            yield "member", other


def _distinct(node: exp.Expression) -> Iterator[Change]:
    """`distinct` dropped from a count and from a select, `union` made `union all`."""
    if isinstance(node, exp.Count) and isinstance(node.this, exp.Distinct):
        yield "distinct", exp.Count(this=node.this.expressions[0].copy())
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        other = node.copy()
        other.set("distinct", None)
        yield "distinct", other


def _order(node: exp.Expression) -> Iterator[Change]:
    """A key of a window's order turned, or dropped where another one stays."""
    if isinstance(node, exp.Ordered):
        other = node.copy()
        other.set("desc", not node.args.get("desc"))
        yield "order", other
        if isinstance(node.parent, exp.Order) and len(node.parent.expressions) > 1:
            yield "order", None


def _partition(node: exp.Expression) -> Iterator[Change]:
    """A key of a window's partition dropped where another one stays."""
    if (
        isinstance(node.parent, exp.Window)
        and node.arg_key == "partition_by"
        and len(node.parent.args["partition_by"]) > 1
    ):
        yield "partition", None


def _branch(node: exp.Expression) -> Iterator[Change]:
    """A branch of `case` dropped, or exchanged with the next one."""
    if isinstance(node, exp.Case):
        branches = node.args["ifs"]
        for number, branch in enumerate(branches):
            if len(branches) > 1:
                yield (
                    "branch",
                    _case(node, [*branches[:number], *branches[number + 1 :]]),
                    branch.sql(DIALECT),
                )
            if number + 1 < len(branches):
                following = branches[number + 1]
                turned = [*branches[:number], following, branch, *branches[number + 2 :]]
                words = f"{branch.sql(DIALECT)} | {following.sql(DIALECT)}"
                yield "branch_order", _case(node, turned), words


def _case(node: exp.Case, branches: list[exp.Expression]) -> exp.Case:
    case = node.copy()
    case.set("ifs", [branch.copy() for branch in branches])
    return case


OPERATORS: tuple[Callable[[exp.Expression], Iterator[Change]], ...] = (
    _bound,
    _between,
    _day,
    _sign,
    _number,
    _clause,
    _where,
    _negation,
    _column,
    _extreme,
    _default,
    _join,
    _member,
    _distinct,
    _order,
    _partition,
    _branch,
)
