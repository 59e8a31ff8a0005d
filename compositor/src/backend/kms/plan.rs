//! What is to be done when connectors are not what they were. Pure.

/// A connector that is lit, by the kernel's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lit<M> {
    pub(super) connector: u32,
    pub(super) mode: M,
}

/// A connector as it is now: without modes, nothing is plugged into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plug<M> {
    pub(super) connector: u32,
    pub(super) modes: Vec<M>,
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Its display has gone.
    TakeDown(u32),
    /// Its display does not offer the mode any more.
    ChangeMode(u32),
    /// It has a display that is dark.
    Light(u32),
}

/// The steps from what is lit to what is plugged in, in their order: what goes makes room for what comes.
pub(super) fn plan<M: PartialEq>(lit: &[Lit<M>], plugs: &[Plug<M>]) -> Vec<Step> {
    let plug = |connector| plugs.iter().find(|plug| plug.connector == connector && !plug.modes.is_empty());
    let gone = lit.iter().filter(|it| plug(it.connector).is_none()).map(|it| Step::TakeDown(it.connector));
    let changed = lit
        .iter()
        .filter(|it| plug(it.connector).is_some_and(|plug| !plug.modes.contains(&it.mode)))
        .map(|it| Step::ChangeMode(it.connector));
    let dark = plugs
        .iter()
        .filter(|plug| !plug.modes.is_empty() && lit.iter().all(|it| it.connector != plug.connector))
        .map(|plug| Step::Light(plug.connector));
    gone.chain(changed).chain(dark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lit(connector: u32, mode: u8) -> Lit<u8> {
        Lit { connector, mode }
    }

    fn plug(connector: u32, modes: &[u8]) -> Plug<u8> {
        Plug { connector, modes: modes.to_vec() }
    }

    #[test]
    fn displays_come_go_and_keep_a_mode_that_they_still_offer() {
        let now = [plug(1, &[7, 8]), plug(2, &[]), plug(3, &[9]), plug(4, &[5])];
        // 1 keeps its mode among others, 2 was pulled, 3 was exchanged, 4 is new, 5 is not even listed any more.
        let before = [lit(1, 8), lit(2, 8), lit(3, 8), lit(5, 8)];
        assert_eq!(
            plan(&before, &now),
            [Step::TakeDown(2), Step::TakeDown(5), Step::ChangeMode(3), Step::Light(4)]
        );
        assert_eq!(plan(&[lit(1, 7)], &[plug(1, &[7])]), []);
        assert_eq!(plan::<u8>(&[], &[]), []);
    }

    proptest! {
        #[test]
        fn after_the_plan_there_is_nothing_left_to_do(
            before in prop::collection::btree_map(0..6u32, 0..4u8, 0..6),
            now in prop::collection::btree_map(0..6u32, prop::collection::vec(0..4u8, 0..3), 0..6),
        ) {
            let mut state: Vec<_> = before.into_iter().map(|(id, mode)| lit(id, mode)).collect();
            let plugs: Vec<_> = now.iter().map(|(id, modes)| plug(*id, modes)).collect();
            for step in plan(&state, &plugs) {
                match step {
                    Step::TakeDown(id) => state.retain(|it| it.connector != id),
                    Step::ChangeMode(id) => {
                        state.iter_mut().filter(|it| it.connector == id).for_each(|it| it.mode = now[&id][0]);
                    }
                    Step::Light(id) => state.push(lit(id, now[&id][0])),
                }
            }
            prop_assert_eq!(plan(&state, &plugs), []);
            prop_assert_eq!(state.len(), plugs.iter().filter(|plug| !plug.modes.is_empty()).count());
        }
    }
}
