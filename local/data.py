"""The data that the queries of the demo and of the tests are about: CSV files in a bucket, and
the catalog's tables over them."""

# As samconfig.toml has them.
BUCKET = "bellwire-local-data"
DATABASE = "demo"

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
    there = {it["Name"] for it in glue.get_databases()["DatabaseList"]}
    if database not in there:
        glue.create_database(DatabaseInput={"Name": database})
    if table in {it["Name"] for it in glue.get_tables(DatabaseName=database)["TableList"]}:
        return
    columns = csv.split("\n", 1)[0].split(",")
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
