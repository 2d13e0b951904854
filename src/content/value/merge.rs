//! Mappings over mappings, as `hash_behaviour=merge` and `include_vars` put variables together.

use super::Value;

/// Mappings merged at all levels, the second over the first; anything else, lists included, is the second.
pub fn merged(below: &Value, above: &Value) -> Value {
    let (Value::Dict(old), Value::Dict(new)) = (below, above) else {
        return above.clone();
    };
    let mut all = old.read().map(|all| all.clone()).unwrap_or_default();
    let new = new.read().map(|all| all.clone()).unwrap_or_default();
    for (name, value) in new {
        let value = all
            .get(&name)
            .map_or_else(|| value.clone(), |known| merged(known, &value));
        all.insert(name, value);
    }
    Value::dict(all)
}
