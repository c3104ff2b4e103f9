use super::*;

const IMAGE: Placement = Placement {
    shape: [2, 3, 4],
    affine: Affine { steps: [[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0]], origin: [-5.0, 7.0, 11.0] },
};

/// Voxels of `IMAGE` that know their place, stored in `order`: the first axis of the file fastest.
fn stored(order: Order) -> (Placement, Vec<usize>) {
    let placement = IMAGE.ordered(order);
    let walked = order.walk(&(0..24).collect::<Vec<usize>>(), IMAGE.shape);
    // `walk` writes the last axis fastest, a file the first.
    let file = Order { axes: [0, 1, 2], backwards: [false; 3] };
    let [a, b, c] = placement.shape;
    (placement, file.walk(&walked, [c, b, a]))
}

#[test]
fn all_48_ways_to_store_a_volume_give_the_same_voxels() {
    let (_, plain) = stored(Order { axes: [0, 1, 2], backwards: [false; 3] });
    assert_eq!(plain, (0..24).collect::<Vec<_>>());
    let expected = IMAGE.affine.orientation().to_anatomical().walk(&plain, IMAGE.shape);
    let orders = Order::all();
    assert_eq!(orders.len(), 48);
    for &order in &orders {
        let (placement, voxels) = stored(order);
        let walk = placement.affine.orientation().to_anatomical();
        assert_eq!(walk.walk(&voxels, placement.shape), expected, "{order:?}");
        assert!(placement.ordered(walk).apart_mm(&IMAGE) < 1e-9, "{order:?}");
        // The mask may be stored in any other way.
        for &other in orders.iter().step_by(5) {
            let (image, _) = stored(other);
            let anatomical = image.ordered(image.affine.orientation().to_anatomical());
            assert_eq!(
                anatomical.walk_of(&placement).map(|walk| walk.walk(&voxels, placement.shape)),
                Ok(expected.clone())
            );
        }
    }
}

#[test]
fn orientations_have_the_names_that_people_know() {
    for order in Order::all() {
        let orientation = Orientation(order);
        assert_eq!(orientation.to_string().parse(), Ok(orientation));
        let affine = Affine::unstated(orientation, [1.0, 2.0, 3.0]);
        assert_eq!(affine.orientation(), orientation);
        assert_eq!(affine.spacing_mm().map(f64::to_bits), [1.0, 2.0, 3.0].map(f64::to_bits));
    }
    // The second axis runs to the left, the third to the back: voxels along the first go upwards.
    let affine = Affine::unstated("SLP".parse().unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(affine.at([1.0; 3]).map(|x| format!("{x:.1}")), ["-2.0", "-3.0", "1.0"]);
    for wrong in ["RAR", "ras", "RA", "RASP", ""] {
        assert!(wrong.parse::<Orientation>().unwrap_err().contains("three letters"));
    }
}

#[test]
fn a_tilt_of_the_head_keeps_the_closest_orientation() {
    let (sin, cos) = (0.5_f64, 0.75_f64.sqrt());
    let tilted = Affine { steps: [[-cos, sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 2.0]], origin: [0.0; 3] };
    assert_eq!(tilted.orientation().to_string(), "LAS");
    assert_eq!(tilted.check(), Ok(()));
}

fn changed(change: impl Fn(&mut Placement)) -> Result<Order, String> {
    let mut mask = IMAGE;
    change(&mut mask);
    IMAGE.walk_of(&mask)
}

#[test]
fn what_other_programs_round_passes_and_what_lies_elsewhere_is_named() {
    let rounded = changed(|mask| {
        mask.affine.origin[0] += 4e-6;
        mask.affine.steps[1][1] *= 1.000_002;
        mask.affine.steps[2][0] = 3e-6;
    });
    assert_eq!(rounded.map(|order| order.axes), Ok([0, 1, 2]));
    let check = |change: &dyn Fn(&mut Placement), expected: &str| {
        let message = changed(change).unwrap_err();
        assert!(message.contains(expected), "{message}");
    };
    check(&|mask| mask.affine.origin[0] += 0.2, "another origin: its voxels lie up to 0.200 mm");
    check(&|mask| mask.affine.origin[2] -= 3.0, "another origin: its voxels lie up to 3.000 mm");
    check(&|mask| mask.affine.steps[1][1] = 2.5, "another spacing: 1 x 2.5 x 3 mm, expected 1 x 2 x 3 mm");
    check(
        &|mask| mask.affine.steps[0] = [0.98, 0.199, 0.0],
        "another orientation: its axes are turned by up to",
    );
    check(&|mask| mask.shape = [2, 3, 5], "is a mask of 2 x 3 x 5 voxels, expected 2 x 3 x 4 voxels");
    // Flipped without saying where it begins: the same axis, another place.
    check(&|mask| mask.affine.steps[1][1] = -2.0, "another origin");
}

#[test]
fn impossible_places_are_refused() {
    let check = |change: &dyn Fn(&mut Affine), expected: &str| {
        let mut affine = IMAGE.affine;
        change(&mut affine);
        let message = affine.check().unwrap_err();
        assert!(message.contains(expected), "{message}");
    };
    check(&|affine| affine.steps[1] = [0.0; 3], "impossible distance between voxels (1 x 0 x 3 mm)");
    check(&|affine| affine.steps[0][0] = 1000.0, "impossible distance between voxels");
    check(&|affine| affine.origin[1] = f64::NAN, "no number");
    check(&|affine| affine.steps[2] = [0.0, 0.3, 3.0], "axes 2 and 3 that are not at right angles");
}
