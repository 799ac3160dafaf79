//! Whether the roles are there that functions, the scheduler and API Gateway act in.

use anyhow::Context;

use super::{Examined, Finding};

pub async fn check(examined: &Examined, found: &mut Vec<Finding>) -> anyhow::Result<()> {
    let iam = aws_sdk_iam::Client::new(&examined.config);
    let mut well = 0;
    for role in examined.of_kind("AWS::IAM::Role") {
        let name = &role.physical_id;
        match iam.get_role().role_name(name).send().await {
            Ok(_) => well += 1,
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|it| it.is_no_such_entity_exception()) =>
            {
                let message = format!("the role of {} is not there any more", role.logical_id);
                found.push(Finding::problem(name, message));
            }
            Err(error) => return Err(error).context("a role could not be read"),
        }
    }
    found.push(Finding::ok("roles", format!("{well} are there")));
    found.push(logs_role(examined).await?);
    Ok(())
}

/// API Gateway writes access logs in a role of the account and region, which another stack may have taken away.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html>
async fn logs_role(examined: &Examined) -> anyhow::Result<Finding> {
    let what = "API Gateway's role for logs";
    let account = aws_sdk_apigateway::Client::new(&examined.config)
        .get_account()
        .send()
        .await
        .context("API Gateway's account could not be read")?;
    Ok(match account.cloudwatch_role_arn() {
        Some(arn) => Finding::ok(what, arn),
        None => Finding::problem(
            what,
            "is not set: no access logs are written. Deploy with ApiGatewayLogsRole=create, or set one",
        ),
    })
}
