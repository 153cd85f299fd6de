//! Compares answers with the API's description: the part of JSON Schema that the description uses.

use serde_json::Value;

use super::Reply;

/// Fails unless the description says that this call may be answered like this.
#[track_caller]
pub fn check(description: &Value, method: &str, path: &str, reply: &Reply) {
    let path = path.split('?').next().unwrap();
    let Some(operation) = operation(description, method, path) else {
        assert!(matches!(reply.status, 404 | 405 | 204), "{method} {path} is not described: {reply:?}");
        return;
    };
    let response = &operation["responses"][reply.status.to_string()];
    assert!(response.is_object(), "{method} {path} is not described to answer {}: {}", reply.status, reply.text());
    if reply.body.is_empty() {
        return;
    }
    let kind = reply.header("content-type").unwrap().split(';').next().unwrap();
    let content = &response["content"][kind];
    assert!(content.is_object(), "{method} {path} {} is not described as {kind}", reply.status);
    if kind.ends_with("json") && !kind.contains("ndjson") {
        let value = reply.json();
        if let Err(wrong) = valid(description, &content["schema"], &value, "answer") {
            panic!("{method} {path} {}: {wrong}\n{value:#}", reply.status);
        }
        if kind == "application/problem+json" {
            let name = value["type"].as_str().unwrap().rsplit('/').next().unwrap();
            let text = response["description"].as_str().unwrap();
            assert!(text.contains(&format!("`{name}`")), "{method} {path} is not described to refuse with {name}");
        }
    }
}

fn operation<'d>(description: &'d Value, method: &str, path: &str) -> Option<&'d Value> {
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let fits = |template: &str| {
        let (a, b): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| *a == b || (a.starts_with('{') && !b.is_empty()))
    };
    let paths = description["paths"].as_object().unwrap();
    let exact = paths.get(path).map(|item| &item[&method]).filter(|operation| operation.is_object());
    exact.or_else(|| paths.iter().filter(|(t, _)| fits(t)).map(|(_, item)| &item[&method]).find(|o| o.is_object()))
}

fn valid(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return valid(root, root.pointer(&reference[1..]).unwrap(), value, at);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        valid(root, part, value, at)?;
    }
    for choices in ["oneOf", "anyOf"] {
        if let Some(list) = schema[choices].as_array()
            && !list.iter().any(|part| valid(root, part, value, at).is_ok())
        {
            return Err(format!("{at} fits none of the {choices}"));
        }
    }
    if let Some(list) = schema["enum"].as_array()
        && !list.contains(value)
    {
        return Err(format!("{at} is {value}, not one of {list:?}"));
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    if !types.iter().any(|kind| is(kind, value)) {
        return Err(format!("{at} is {value}, not {types:?}"));
    }
    if let Some(format) = schema["format"].as_str() {
        check_format(format, value, at)?;
    }
    for (n, item) in value.as_array().into_iter().flatten().enumerate() {
        valid(root, &schema["items"], item, &format!("{at}[{n}]"))?;
    }
    object(root, schema, value, at)
}

fn object(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(name) {
            return Err(format!("{at}.{name} is missing"));
        }
    }
    for (name, value) in object {
        // A part of an allOf knows only its own; what nobody describes is found by the whole.
        if let Some(property) = properties.get(name) {
            valid(root, property, value, &format!("{at}.{name}"))?;
        } else if schema["x-part"].is_null() && !is_part(root, schema) {
            return Err(format!("{at}.{name} is not described"));
        }
    }
    Ok(())
}

/// Whether the schema is one of those that an allOf puts together.
fn is_part(root: &Value, schema: &Value) -> bool {
    let all = root["components"]["schemas"].as_object().unwrap();
    let parts = all.values().filter_map(|s| s["allOf"].as_array()).flatten();
    let resolved = parts.map(|part| part["$ref"].as_str().map_or(Some(part), |r| root.pointer(&r[1..])));
    resolved.flatten().any(|part| part == schema)
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

fn check_format(format: &str, value: &Value, at: &str) -> Result<(), String> {
    let good = match (format, value.as_str()) {
        ("date-time", Some(text)) => domain::Millis::parse_rfc3339(text).is_ok() && text.ends_with('Z'),
        ("uuid", Some(text)) => text.parse::<domain::HoldId>().is_ok(),
        _ => true,
    };
    if good { Ok(()) } else { Err(format!("{at} is {value}, not a {format}")) }
}
