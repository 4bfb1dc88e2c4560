import pytest
from dagfleet.control.documents import ALL
from dagster_graphql.schema import create_schema
from graphql import GraphQLSchema, parse, validate


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    schema: GraphQLSchema = create_schema().graphql_schema
    return schema


@pytest.mark.parametrize("name", ALL)
def test_dagster_understands_every_document(schema: GraphQLSchema, name: str) -> None:
    assert [error.message for error in validate(schema, parse(ALL[name]))] == []


def test_a_field_that_dagster_does_not_have_is_noticed(schema: GraphQLSchema) -> None:
    assert validate(schema, parse("{ workspaceOrError { ... on Workspace { slots } } }"))
