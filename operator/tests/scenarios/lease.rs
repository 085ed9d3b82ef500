//! One of two replicas holds the Lease, and gives it back.
//! Layer: test

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use penstock_operator::{
    api::Cluster,
    controller::Stop,
    election::{Campaign, Candidate},
    http::Health,
    leadership::Leadership,
    metrics::Leads,
};
use tokio::sync::watch;

use crate::{model::Model, world::client};

struct Replica {
    leadership: Leadership,
    led: watch::Receiver<Leads>,
    stop: watch::Sender<Stop>,
    task: tokio::task::JoinHandle<()>,
}

const SOON: Duration = Duration::from_secs(20);

fn start(model: &Arc<Mutex<Model>>, identity: &str) -> Replica {
    let leadership = Leadership::none();
    let (leads, led) = watch::channel(Leads::No);
    let (stop, stopped) = watch::channel(Stop::NotYet);
    let campaign = Campaign {
        cluster: Cluster::new(client(Arc::clone(model)), leadership.clone()),
        candidate: Candidate {
            namespace: "system".to_owned(),
            identity: identity.to_owned(),
        },
        leadership: leadership.clone(),
        health: Health::default(),
    };
    let task = tokio::spawn(campaign.run((leads, stopped)));
    Replica {
        leadership,
        led,
        stop,
        task,
    }
}

impl Replica {
    async fn leads(&mut self) {
        let led = self.led.wait_for(|leads| *leads == Leads::Yes);
        tokio::time::timeout(SOON, led)
            .await
            .expect("it leads in time")
            .expect("as set up");
    }

    async fn end(self) {
        self.stop.send_replace(Stop::Now);
        tokio::time::timeout(SOON, self.task)
            .await
            .expect("it ends in time")
            .expect("as set up");
    }
}

fn holder(model: &Arc<Mutex<Model>>) -> String {
    let key = (
        "leases".to_owned(),
        "system".to_owned(),
        "penstock-operator".to_owned(),
    );
    let lease = model.lock().expect("as set up").objects[&key].clone();
    lease["spec"]["holderIdentity"]
        .as_str()
        .expect("as set up")
        .to_owned()
}

/// A replica that leads, renews and leaves.
pub(crate) async fn a_short_reign() -> Arc<Mutex<Model>> {
    let model = Arc::default();
    let mut one = start(&model, "one");
    one.leads().await;
    assert!(one.leadership.holds());
    one.end().await;
    assert_eq!(holder(&model), "");
    model
}

#[tokio::test]
async fn who_leaves_gives_it_back_and_the_other_follows_at_once() {
    let model = Arc::default();
    let mut one = start(&model, "one");
    one.leads().await;
    let mut other = start(&model, "other");
    assert!(!other.leadership.holds());
    let leadership = one.leadership.clone();
    one.end().await;
    assert!(
        !leadership.holds(),
        "nothing is written after the Lease was given back"
    );
    other.leads().await;
    assert_eq!(holder(&model), "other");
    other.end().await;
}
