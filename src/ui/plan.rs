//! Draws a plan: its steps, and what the quorum can bear after each.

use super::color::{Paint, Tone};
use super::table::Table;
use crate::journal::PlannedStep;

/// The plan as text. A step after which there is only forward is marked with `!`.
pub fn draw(title: &str, notes: &[String], steps: &[PlannedStep], paint: Paint) -> String {
    let mut text = format!("{}\n", paint.text(Tone::Strong, title));
    for note in notes {
        text.push_str(&format!("  - {note}\n"));
    }
    text.push('\n');
    let mut table = Table::new(["  #", "", "STEP", "VOTERS", "HEALTHY", "QUORUM", "CAN LOSE"]);
    for (index, step) in steps.iter().enumerate() {
        let mark = match (step.done, step.point_of_no_return) {
            (true, _) => "ok",
            (false, true) => "!",
            (false, false) => "",
        };
        let (voters, healthy, quorum, spare) = match &step.tolerance {
            Some(t) => (
                if t.learners > 0 {
                    format!("{}+{}", t.voters, t.learners)
                } else {
                    t.voters.to_string()
                },
                t.healthy.to_string(),
                t.quorum.to_string(),
                if t.tolerance < 0 {
                    "NO QUORUM".to_owned()
                } else {
                    t.tolerance.to_string()
                },
            ),
            None => Default::default(),
        };
        table.row([
            format!("{:>3}", index + 1),
            mark.to_owned(),
            step.sentence.clone(),
            voters,
            healthy,
            quorum,
            spare,
        ]);
    }
    text.push_str(&table.text());
    if steps
        .iter()
        .any(|step| step.point_of_no_return && !step.done)
    {
        text.push_str("  !  after this step there is only forward\n");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Tolerance;

    #[test]
    fn shows_the_tolerance_after_each_step() {
        let step = |id: &str, tolerance, point_of_no_return| PlannedStep {
            id: id.into(),
            title: id.into(),
            sentence: format!("{id} node3"),
            done: false,
            point_of_no_return,
            tolerance,
        };
        let bears = |voters, learners, healthy, quorum, tolerance| {
            Some(Tolerance {
                voters,
                healthy,
                learners,
                quorum,
                tolerance,
            })
        };
        let steps = [
            step("remove", bears(2, 0, 2, 2, 0), true),
            step("shape", None, false),
            step("learn", bears(2, 1, 2, 2, 0), false),
            step("promote", bears(3, 0, 3, 2, 1), false),
        ];
        let text = draw(
            "Replace node3",
            &["node3 does not answer".into()],
            &steps,
            Paint { on: false },
        );
        insta::assert_snapshot!(text, @r"
        Replace node3
          - node3 does not answer

          #     STEP           VOTERS  HEALTHY  QUORUM  CAN LOSE
          1  !  remove node3   2       2        2       0
          2     shape node3
          3     learn node3    2+1     2        2       0
          4     promote node3  3       3        2       1
          !  after this step there is only forward
        ");
    }
}
