//! Requests and replies whose every step is dropped again and again before it is ready.

use chaski_zmq::{Builder, Kind, Message, Socket};
use chaski_zmtp::keys::KeyPair;

use crate::{MOMENT, POLLS_MAX, drop_after, drop_until_ready, endpoints};

/// Many rounds; what is asked and answered is numbered.
fn rounds(req: &Socket, rep: &Socket) {
    for n in 0..50 {
        let (question, answer) = (format!("question {n}"), format!("answer {n}"));
        let (sent, _) = drop_until_ready(|| req.send_async(question.as_str()));
        sent.unwrap();
        for polls in 1..=POLLS_MAX {
            assert!(drop_after(polls, req.recv_async()).is_none(), "nobody has answered");
        }
        let (request, _) = drop_until_ready(|| rep.recv_async());
        let mut request = request.unwrap();
        assert_eq!(request.pop().unwrap(), *question);
        // A ROUTER gives the answer its envelope back; a REP has kept it.
        request.push(answer.as_str());
        let (sent, _) = drop_until_ready(|| rep.send_async(request.clone()));
        sent.unwrap();
        let (reply, _) = drop_until_ready(|| req.recv_async());
        assert_eq!(reply.unwrap(), Message::from(answer.as_str()));
        assert!(rep.try_recv().is_err() && req.try_recv().is_err());
    }
    assert!(rep.recv_timeout(MOMENT).is_err(), "a request came twice");
}

/// Those who ask.
const REQUESTERS: [fn() -> Builder<Socket>; 3] = [
    || Socket::builder(Kind::Req),
    || Socket::builder(Kind::Req).req_correlate(true),
    || Socket::builder(Kind::Req).req_correlate(true).req_relaxed(true),
];

#[test]
fn a_dropped_step_is_not_taken_and_the_next_one_is() {
    for answers in [Kind::Rep, Kind::Router] {
        for asks in REQUESTERS {
            for at in endpoints() {
                let (req, rep) = (asks().build().unwrap(), Socket::new(answers));
                req.connect(rep.bind(at).unwrap()).unwrap();
                rounds(&req, &rep);
            }
        }
    }
}

#[test]
fn the_same_over_curve() {
    let [server, client] = [(); 2].map(|()| KeyPair::generate().unwrap());
    for asks in REQUESTERS {
        let rep = Socket::builder(Kind::Rep)
            .curve_server(true)
            .curve_secretkey(server.secret())
            .build()
            .unwrap();
        let req = asks()
            .curve_serverkey(server.public())
            .curve_secretkey(client.secret())
            .build()
            .unwrap();
        req.connect(rep.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        rounds(&req, &rep);
    }
}
