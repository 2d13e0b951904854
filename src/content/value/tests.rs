use super::*;
use proptest::prelude::*;

fn numbers(items: &[i64]) -> Value {
    Value::list(items.iter().copied().map(Value::Int).collect())
}

#[test]
fn floats_print_as_in_python() {
    let cases = [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e16, "1e+16"),
        (1e15, "1000000000000000.0"),
        (123_456_789.125, "123456789.125"),
        (1.5e-7, "1.5e-07"),
        (0.0001, "0.0001"),
        (1e20, "1e+20"),
        (1e300, "1e+300"),
        (f64::INFINITY, "inf"),
    ];
    for (value, expected) in cases {
        assert_eq!(float_repr(value), expected);
    }
}

#[test]
fn containers_print_as_in_python() {
    let value = Value::record([
        (
            "a",
            Value::list(vec![Value::None, Value::Bool(true), "it's".into()]),
        ),
        ("b", Value::tuple(vec![Value::Int(1)])),
    ]);
    assert_eq!(value.repr(), r#"{'a': [None, True, "it's"], 'b': (1,)}"#);
}

#[test]
fn a_list_that_holds_itself_can_be_printed() {
    let list = numbers(&[1]);
    if let Value::List(items) = &list {
        write(items).push(list.clone());
    }
    assert_eq!(list.repr(), "[1, [...]]");
    if let Value::List(items) = &list {
        write(items).clear();
    }
}

#[test]
fn one_is_one_whatever_its_type() {
    let mut entries = IndexMap::new();
    entries.insert(Key(Value::Int(1)), Value::from("int"));
    entries.insert(Key(Value::Float(1.0)), Value::from("float"));
    entries.insert(Key(Value::Bool(true)), Value::from("bool"));
    assert_eq!(entries.len(), 1);
    assert!(Value::Int(1) == Value::Float(1.0) && Value::Int(0) == Value::Bool(false));
}

#[test]
fn order_of_different_types_is_an_error() {
    let mistake = Value::Int(1).compare(&"a".into(), ">").unwrap_err();
    assert_eq!(
        mistake.message,
        "'>' not supported between instances of 'int' and 'str'"
    );
}

#[test]
fn whole_numbers_have_no_bounds() {
    let big = pow(&Value::Int(2), &Value::Int(127)).unwrap();
    assert_eq!(big.repr(), "170141183460469231731687303715884105728");
    assert_eq!(sub(&big, &big).unwrap(), Value::Int(0));
    assert_eq!(
        floor_div(&Value::Int(i64::MIN), &Value::Int(-1))
            .unwrap()
            .repr(),
        "9223372036854775808"
    );
}

#[test]
fn joining_loses_trust() {
    let joined = add(&"a".into(), &Value::untrusted("b")).unwrap();
    assert!(joined.holds_untrusted());
    assert!(!add(&"a".into(), &"b".into()).unwrap().holds_untrusted());
}

#[test]
fn json_keeps_values_and_distrusts_text() {
    let json = serde_json::json!({"a": [1, 2.5, "x", null, true], "big": u64::MAX});
    let value = Value::from_json(&json);
    assert_eq!(value.to_json(), json);
    assert!(value.holds_untrusted());
    assert!(!Value::from_trusted_json(&json).holds_untrusted());
}

#[test]
fn a_deep_copy_shares_nothing() {
    let inner = numbers(&[1]);
    let outer = Value::list(vec![inner.clone()]);
    let copy = outer.deep_copy();
    if let Value::List(items) = &inner {
        write(items).push(Value::Int(2));
    }
    assert_eq!(outer.repr(), "[[1, 2]]");
    assert_eq!(copy.repr(), "[[1]]");
}

proptest! {
    #[test]
    fn division_and_remainder_fit_together(a: i64, b: i64) {
        prop_assume!(b != 0);
        let (a, b) = (Value::Int(a), Value::Int(b));
        let quotient = floor_div(&a, &b).unwrap();
        let rest = rem(&a, &b).unwrap();
        prop_assert_eq!(add(&mul(&quotient, &b).unwrap(), &rest).unwrap(), a);
        prop_assert!(!rest.truthy() || rest.to_float().unwrap().signum().to_bits() == b.to_float().unwrap().signum().to_bits());
    }

    #[test]
    fn slices_pick_what_counting_picks(
        len in 0usize..8, start in -10i64..10, stop in -10i64..10, step in 1i64..4,
    ) {
        let items: Vec<i64> = (0..8).take(len).collect();
        let place = |at: i64| if at < 0 { at + len as i64 } else { at }.clamp(0, len as i64);
        let expected: Vec<i64> = items
            .iter()
            .copied()
            .filter(|at| *at >= place(start) && *at < place(stop) && (*at - place(start)) % step == 0)
            .collect();
        let found = slice(&numbers(&items), Some(start), Some(stop), Some(step)).unwrap();
        prop_assert_eq!(found, numbers(&expected));
    }

    #[test]
    fn a_slice_backwards_is_the_slice_reversed(items: Vec<i64>) {
        let reversed: Vec<i64> = items.iter().rev().copied().collect();
        let found = slice(&numbers(&items), None, None, Some(-1)).unwrap();
        prop_assert_eq!(found, numbers(&reversed));
    }
}
