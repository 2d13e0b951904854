//! Which hosts of a play go first, and which together.

use super::keep::{as_text, number};
use crate::content::inventory::HostName;
use crate::content::value::Value;

/// Sorts the hosts of a play as `order:` says.
pub(super) fn order(hosts: &mut [HostName], order: Option<&str>) {
    match order {
        Some("sorted") => hosts.sort(),
        Some("reverse_sorted") => {
            hosts.sort();
            hosts.reverse();
        }
        Some("reverse_inventory") => hosts.reverse(),
        Some("shuffle") => {
            use rand::seq::SliceRandom;
            hosts.shuffle(&mut rand::rng());
        }
        _ => {}
    }
}

/// Cuts the hosts of a play into batches; the last size goes on to the end.
pub(super) fn batches(
    hosts: &[HostName],
    serial: Option<&Value>,
) -> Result<Vec<Vec<HostName>>, String> {
    let sizes = match serial {
        None | Some(Value::None) => return Ok(vec![hosts.to_vec()]),
        Some(Value::List(items)) => items.read().map(|items| items.clone()).unwrap_or_default(),
        Some(Value::Str(text)) if text.text.trim().is_empty() => return Ok(vec![hosts.to_vec()]),
        Some(one) => vec![one.clone()],
    };
    let mut counts = Vec::new();
    for size in &sizes {
        counts.push(batch_size(size, hosts.len())?);
    }
    let mut rest = hosts;
    let mut batches = Vec::new();
    let mut counts = counts.into_iter().peekable();
    let mut size = counts.next().unwrap_or(0);
    while !rest.is_empty() {
        if size == 0 {
            batches.push(rest.to_vec());
            break;
        }
        let (batch, left) = rest.split_at(size.min(rest.len()));
        batches.push(batch.to_vec());
        rest = left;
        if let Some(next) = counts.next() {
            size = next;
        }
    }
    Ok(batches)
}

/// `20%` of the hosts, at least one; 0 means all that are left.
fn batch_size(size: &Value, hosts: usize) -> Result<usize, String> {
    let wrong = || format!("`{}` is not a size of a batch", as_text(size));
    if let Value::Str(text) = size
        && let Some(share) = text.text.trim().strip_suffix('%')
    {
        let share: f64 = share.trim().parse().map_err(|_| wrong())?;
        return Ok(((share / 100.0 * hosts as f64) as usize).max(1));
    }
    let count = number(size).ok_or_else(wrong)?;
    Ok(if count <= 0.0 { 0 } else { count as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(hosts: usize, serial: Option<&Value>) -> Vec<usize> {
        let hosts: Vec<HostName> = (0..hosts)
            .map(|n| HostName::from(format!("h{n}")))
            .collect();
        let batches = batches(&hosts, serial).expect("sizes");
        assert_eq!(batches.concat(), hosts);
        batches.iter().map(Vec::len).collect()
    }

    // Sizes as ansible-playbook 2.18.19 cuts them.
    #[test]
    fn serial_cuts_hosts_into_batches() {
        let list = |items: &[Value]| Value::list(items.to_vec());
        assert_eq!(cut(5, None), [5]);
        assert_eq!(cut(5, Some(&Value::Int(2))), [2, 2, 1]);
        assert_eq!(cut(5, Some(&Value::Int(0))), [5]);
        assert_eq!(cut(5, Some(&Value::from("20%"))), [1, 1, 1, 1, 1]);
        assert_eq!(cut(10, Some(&Value::from("25%"))), [2, 2, 2, 2, 2]);
        assert_eq!(cut(3, Some(&Value::from("10%"))), [1, 1, 1]);
        assert_eq!(
            cut(6, Some(&list(&[Value::Int(1), Value::from("50%")]))),
            [1, 3, 2]
        );
    }
}
