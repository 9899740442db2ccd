//! What a session's badge says of its client; layout.rs knows the bits.

use crate::graph::{Graph, Session};
use crate::layout;

impl Graph {
    /// Which of its client's uses of the same provided interface a session is, from 0. Each is a session of its own, which its badge tells.
    #[must_use]
    pub fn nth(&self, session: &Session) -> u8 {
        let uses = self.instance(session.client).map_or(&[][..], |client| &client.uses);
        let before = uses.iter().take(usize::from(session.client_use)).filter_map(|used| self.session_of(used));
        let alike = before.filter(|other| (other.server, other.provided) == (session.server, session.provided));
        alike.fold(0, |nth, _| nth + 1)
    }

    /// The badge of the client's endpoint of `session`, whose server is in its life number `generation`.
    #[must_use]
    pub fn badge(&self, session: &Session, generation: u16) -> u64 {
        layout::badge(session.client, self.nth(session), session.provided, generation)
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::{Instance, Provided, Session, Use, tests::sample};

    /// Uses of one provided interface are counted by client and in the order of component.toml, whatever else lies between them.
    #[test]
    fn session_of_each_use_has_a_badge_of_its_own() {
        let mut graph = sample();
        let (power, client) = (graph.sessions[0].clone(), graph.instances[1].clone());
        let other = Provided { name: "other".into(), ..graph.instances[0].provides[0].clone() };
        graph.instances[0].provides.push(Provided { sessions: vec![], ..other });
        graph.instances.push(Instance { id: 3, name: "other".into(), ..client.clone() });
        graph.sessions.push(Session { client: 3, ..power.clone() });
        graph.instances[2].uses[0].session = 1;
        for (number, client_use, provided) in [(2, 1, 1), (3, 2, 0), (4, 3, 0)] {
            graph.instances[1].uses.push(Use { session: number, ..client.uses[0].clone() });
            graph.sessions.push(Session { client_use, provided, ..power.clone() });
        }
        let of = |number: usize| (graph.nth(&graph.sessions[number]), graph.badge(&graph.sessions[number], 5));
        assert_eq!(
            [0, 1, 2, 3, 4].map(of),
            [
                (0, 0x0000_0500_0002_0000),
                (0, 0x0000_0500_0003_0000),
                (0, 0x0000_0501_0002_0000),
                (1, 0x0100_0500_0002_0000),
                (2, 0x0200_0500_0002_0000),
            ]
        );
        let badges: Vec<_> = graph.grants_of(&graph.instances[1]);
        let told = badges.iter().filter(|grant| matches!(grant.what, crate::What::Call { .. }));
        let told: Vec<String> = told.map(|grant| grant.to_string()).collect();
        assert!(told[2].contains(" slot=12 ") && told[2].contains(" badge=0x100010000020000"), "{told:?}");
    }
}
