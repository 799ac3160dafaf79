"""The data that the queries of the demo and of the tests are about: CSV files in a bucket, and
the catalog's tables over them."""

from contextlib import suppress

# As samconfig.toml has them.
BUCKET = "bellwire-local-data"
DATABASE = "demo"
# A query with this comment puts no events on the bus (see aws_athena.py).
WITHOUT_EVENTS = "/* without events */"

ORDERS = """\
id,customer,country,amount
1,Ada,GB,12.50
2,Grace,US,99.00
3,Linus,FI,7.25
4,,US,31.00
5,Margaret,US,45.75
6,"Dennis ""dmr"" R., C",US,8.00
"""


def put(aws, database: str, table: str, csv: str) -> None:
    """A table over a CSV file whose first line names the columns, all of them texts. `aws`
    makes a client for a service."""
    aws("s3").create_bucket(Bucket=BUCKET)
    aws("s3").put_object(Bucket=BUCKET, Key=f"{database}/{table}/data.csv", Body=csv.encode())
    glue = aws("glue")
    # Several processes may do this at the same time.
    with suppress(glue.exceptions.AlreadyExistsException):
        glue.create_database(DatabaseInput={"Name": database})
    columns = csv.split("\n", 1)[0].split(",")
    with suppress(glue.exceptions.AlreadyExistsException):
        glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": table,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"skip.header.line.count": "1"},
                "StorageDescriptor": {
                    "Location": f"s3://{BUCKET}/{database}/{table}/",
                    "Columns": [{"Name": name, "Type": "string"} for name in columns],
                    "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde"},
                },
            },
        )
